import { openLane, own, type Lane } from '../io/lane.js'
import type { PipedText } from '../io/pipe.js'
import { emptyRing, takeRing, type Slot } from '../io/ring.js'
import type { Compression } from './compression.js'
import { taskBytes, type GzipReply, type GzipSettings, type GzipTask } from './gzip-protocol.js'

/** Where Debian's and Homebrew's `isal` put it. */
const usualPaths = ['/usr/bin/igzip', '/opt/homebrew/bin/igzip', '/usr/local/bin/igzip']

/** Chunks are given away: no other code may use their memory afterwards. */
export type Text = AsyncIterable<Buffer> | PipedText

export interface GzipOptions {
  compression: Compression
  /** Where the text is a dump: of the server that it must load into. */
  serverMajor?: number
  /**
   * Told the bytes of the text that a member holds, before the last of it is handed on; what it throws ends the whole.
   */
  onText?: (bytes: number) => void
  /** Told the reason when igzip has failed and zlib goes on in its place. */
  onFallback: (reason: string) => void
  igzipPaths?: readonly string[]
}

export interface Gzip {
  blocks: AsyncGenerator<Buffer>
  /** To be called for each block, in their order: its memory is used again then. */
  release(): void
}

/**
 * Compresses a text in a worker thread, as gzip members of 1 to 8 MiB; gunzip and zcat read concatenated members as one
 * (RFC 1952, section 2.2). `fast` uses igzip where it is installed. The blocks throw what the text throws.
 */
export function gzip(text: Text, options: GzipOptions): Gzip {
  const held: Slot[] = []
  return {
    blocks: compress(text, options, held),
    release: () => {
      held.shift()?.release()
    }
  }
}

async function* compress(
  text: Text,
  { compression, serverMajor, onText = () => {}, onFallback, igzipPaths = usualPaths }: GzipOptions,
  held: Slot[]
): AsyncGenerator<Buffer> {
  const pipe = 'descriptor' in text ? text : null
  const chunks = 'descriptor' in text ? null : text[Symbol.asyncIterator]()
  const ring = takeRing()
  const filled = emptyRing(ring)
  const settings: GzipSettings = {
    compression,
    igzipPaths,
    descriptor: pipe?.descriptor ?? null,
    head: pipe?.head ?? [],
    serverMajor: serverMajor ?? null,
    ring
  }
  let lane: Lane<GzipTask, GzipReply> | undefined
  let isLast = false
  try {
    lane = openLane<GzipTask, GzipReply>('./gzip-worker', import.meta.url, settings)
    for (;;) {
      const reply = await lane.next()
      if (reply.kind === 'end') break
      if (reply.kind === 'block') {
        if (reply.textBytes > 0) onText(reply.textBytes)
        const slot = filled.next()
        held.push(slot)
        yield slot.bytes.subarray(0, reply.length)
      } else if (reply.kind === 'fallback') {
        onFallback(reply.reason)
      } else if (chunks !== null && !isLast) {
        const task = await nextTask(chunks)
        isLast = task.isLast
        lane.post(
          task,
          task.chunks.map(({ buffer }) => buffer as ArrayBuffer)
        )
      }
    }
    await pipe?.finish()
  } finally {
    // A thread that waits for the pipe can't be ended before the pipe has.
    pipe?.stop()
    await lane?.close()
    filled.close()
    await pipe?.close()
    await chunks?.return?.()
  }
}

async function nextTask(text: AsyncIterator<Buffer>): Promise<GzipTask> {
  const chunks: Uint8Array[] = []
  for (let bytes = 0; bytes < taskBytes;) {
    const next = await text.next()
    if (next.done === true) return { chunks, isLast: true }
    chunks.push(own(next.value))
    bytes += next.value.length
  }
  return { chunks, isLast: false }
}
