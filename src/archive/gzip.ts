import { openLane, own } from '../io/lane.js'
import type { Compression } from './compression.js'
import { taskBytes, type GzipReply, type GzipSettings, type GzipTask } from './gzip-protocol.js'

/** Where Debian's and Homebrew's `isal` put it. */
const usualPaths = ['/usr/bin/igzip', '/opt/homebrew/bin/igzip', '/usr/local/bin/igzip']

export interface GzipOptions {
  compression: Compression
  /** Told the reason when igzip has failed and zlib goes on in its place. */
  onFallback: (reason: string) => void
  igzipPaths?: readonly string[]
}

/**
 * Compresses a text in a worker thread, as gzip members of 1 to 8 MiB; gunzip and zcat read concatenated members as one
 * (RFC 1952, section 2.2). `fast` uses igzip where it is installed.
 * @param text its chunks are given away: nobody else may use their memory afterwards
 */
export async function * gzip (text: AsyncIterable<Buffer>, { compression, onFallback, igzipPaths = usualPaths }: GzipOptions): AsyncGenerator<Buffer> {
  const chunks = text[Symbol.asyncIterator]()
  const settings: GzipSettings = { compression, igzipPaths }
  const lane = openLane<GzipTask, GzipReply>('./gzip-worker', import.meta.url, settings)
  let isLast = false
  try {
    for (;;) {
      const reply = await lane.next()
      if (reply.kind === 'end') return
      if (reply.kind === 'member') {
        yield Buffer.from(reply.data.buffer)
      } else if (reply.kind === 'fallback') {
        onFallback(reply.reason)
      } else if (!isLast) {
        const task = await nextTask(chunks)
        isLast = task.isLast
        lane.post(task, task.chunks.map(({ buffer }) => buffer as ArrayBuffer))
      }
    }
  } finally {
    await lane.close()
    await chunks.return?.()
  }
}

async function nextTask (text: AsyncIterator<Buffer>): Promise<GzipTask> {
  const chunks: Uint8Array[] = []
  for (let bytes = 0; bytes < taskBytes;) {
    const next = await text.next()
    if (next.done === true) return { chunks, isLast: true }
    chunks.push(own(next.value))
    bytes += next.value.length
  }
  return { chunks, isLast: false }
}
