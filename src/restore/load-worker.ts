import { read } from 'node:fs'
import { promisify } from 'node:util'
import { readEntry, type EntryToRead } from '../archive/read-entry.js'
import { loadDump } from '../database/load/load-dump.js'
import { enterLane, failureOf, type Failure } from '../io/lane.js'
import type { LoadReply, LoadTask } from './load-protocol.js'
import { readDump } from './read-dump.js'

/*
 * A worker thread that reads a dump and feeds psql with it. That makes gigabytes of garbage outside of the heap, for which
 * V8 sweeps the heap again and again: this thread's is small, and nobody waits for its answers.
 */
const { port } = enterLane<null>()
const readAt = promisify(read)
const stop = new AbortController()

port.on('message', (task: LoadTask) => {
  if (task.kind === 'stop') stop.abort()
  else void load(task)
})

async function load ({ connection, tools, load, descriptor, dump, trusted }: Extract<LoadTask, { kind: 'load' }>): Promise<void> {
  const source = { read: async (target: Buffer, offset: number, length: number, position: number) => await readAt(descriptor, target, offset, length, position) }
  const archive = { trusted, read: (entry: EntryToRead) => readEntry(source, entry) }
  try {
    await loadDump(connection, tools, {
      ...load, sql: readDump(archive, dump, bytes => { reply({ kind: 'read', bytes }) }), signal: stop.signal
    })
    reply({ kind: 'loaded' })
  } catch (error) {
    reply(failureOf(error))
  }
}

function reply (message: LoadReply | Failure): void {
  port.postMessage(message)
}
