import { PassThrough, type Readable } from 'node:stream'
import { isActive, type Job } from '../src/jobs/job.js'
import type { Queue } from '../src/jobs/queue.js'

const heartbeatMs = 15_000

/**
 * A job as server-sent events, from now until its end. Destroying the stream unsubscribes it.
 * @throws AppError JOB_NOT_FOUND
 */
export async function openJobEvents(jobs: Queue, organizationId: string, jobId: string): Promise<Readable> {
  const job = await jobs.get(organizationId, jobId)
  const stream = new PassThrough()

  function tell(job: Job): void {
    const ended = !isActive(job)
    // A client that reads too slowly misses progress, never the result.
    if (!ended && stream.writableNeedDrain) return
    stream.write(`event: ${ended ? 'result' : 'progress'}\ndata: ${JSON.stringify(job)}\n\n`)
    if (ended) stream.end()
  }

  tell(job)
  if (isActive(job)) {
    const unsubscribe = jobs.watch(jobId, tell)
    // Keeps proxies from closing a connection on which nothing happens.
    const heartbeat = setInterval(() => {
      stream.write(': heartbeat\n\n')
    }, heartbeatMs).unref()
    stream.once('close', () => {
      clearInterval(heartbeat)
      unsubscribe()
    })
    stream.once('finish', () => {
      clearInterval(heartbeat)
    })
  }
  return stream
}
