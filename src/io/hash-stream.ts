import { createHash } from 'node:crypto'
import { Transform, type TransformCallback } from 'node:stream'

export interface HashStream extends Transform {
  /** Bytes that have passed so far. */
  readonly bytes: number
  /** SHA-256 of all that passed, in hex. Only once the stream has ended. */
  digest(): string
}

/**
 * A stream that hands every byte on unchanged and knows their SHA-256 and number.
 * @param onBytes told the length of each chunk as it passes; what it throws destroys the stream
 */
export function createHashStream(onBytes?: (bytes: number) => void): HashStream {
  const hash = createHash('sha256')
  let bytes = 0
  const stream = new Transform({
    highWaterMark: 1 << 20,
    transform(chunk: Buffer, _encoding, callback: TransformCallback) {
      try {
        hash.update(chunk)
        bytes += chunk.length
        onBytes?.(chunk.length)
      } catch (error) {
        // Thrown on, it would end the process when the chunk comes from the stream's own queue.
        callback(error as Error)
        return
      }
      callback(null, chunk)
    }
  })
  return Object.defineProperties(stream, {
    bytes: { get: () => bytes },
    digest: { value: () => hash.digest('hex') }
  }) as HashStream
}
