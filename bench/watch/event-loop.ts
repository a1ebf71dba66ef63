import { connect } from 'node:net'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { pathToFileURL } from 'node:url'
import type { Distribution } from '../measure.js'

/**
 * Delays of the service's event loop in ms, and how long its main thread waited for a core meanwhile: what is no work
 * of its own.
 */
export interface LoopDelays extends Distribution {
  waitedMs: number
}

/** Variables for a service whose event loop is to be watched. */
export function probeEnvironment(socket: string): Record<string, string> {
  return {
    NODE_OPTIONS: `--import=${pathToFileURL(path.join(import.meta.dirname, 'loop-probe.mjs')).href}`,
    LOOP_PROBE_SOCKET: socket
  }
}

/** What was seen since the last call, of a timer that is due every 5 ms (perf_hooks.monitorEventLoopDelay). */
export async function readLoopDelays(socket: string): Promise<LoopDelays> {
  return JSON.parse(await text(connect(socket))) as LoopDelays
}
