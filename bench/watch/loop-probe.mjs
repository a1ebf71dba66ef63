/*
 * Loaded into the service before its own code (`node --import`), so that its event loop is measured from inside.
 * Whoever connects to the socket that LOOP_PROBE_SOCKET names is told what was seen since the last one did.
 */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { isMainThread } from 'node:worker_threads'

const resolutionMs = 5

// The service's threads load it too.
if (isMainThread && process.env.LOOP_PROBE_SOCKET !== undefined) {
  const delays = monitorEventLoopDelay({ resolution: resolutionMs })
  delays.enable()
  let before = scheduled()
  const server = createServer(socket => {
    const now = scheduled()
    const at = share => Math.max(0, delays.percentile(share) / 1e6 - resolutionMs)
    socket.on('error', () => {})
    socket.end(
      JSON.stringify({
        count: delays.count,
        p50: at(50),
        p99: at(99),
        max: at(100),
        waitedMs: now.waitedMs - before.waitedMs
      })
    )
    before = now
    delays.reset()
  })
  server.listen(process.env.LOOP_PROBE_SOCKET).unref()
}

/**
 * How long the main thread could have run but had no core (Documentation/scheduler/sched-stats.rst); 0 where Linux does
 * not tell.
 */
function scheduled() {
  try {
    return { waitedMs: Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[1]) / 1e6 }
  } catch {
    return { waitedMs: 0 }
  }
}
