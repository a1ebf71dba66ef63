import type { HeadLine } from '../io/pipe.js'
import type { Ring } from '../io/ring.js'
import type { Compression } from './compression.js'

/** What a worker is started with. */
export interface GzipSettings {
  compression: Compression
  igzipPaths: readonly string[]
  /** A pipe that the text is read from; null when it comes in tasks. */
  descriptor: number | null
  /** Of a text that comes from a pipe. */
  head: readonly HeadLine[]
  /** Of the server that the text, a dump, must load into; null: it is no dump, or one that stays as it is. */
  serverMajor: number | null
  /** For the compressed bytes. */
  ring: Ring
}

/** A part of the text, of about this many bytes. */
export interface GzipTask {
  chunks: Uint8Array[]
  isLast: boolean
}
export const taskBytes = 1 << 20
/** How many tasks a worker asks for before it has used the first. */
export const tasksAhead = 8

export type GzipReply =
  | { kind: 'more' }
  /** igzip has failed; zlib goes on. */
  | { kind: 'fallback'; reason: string }
  /** Bytes of a member in the ring's next slot; with its last ones, how much text is in it. */
  | { kind: 'block'; length: number; textBytes: number }
  | { kind: 'end' }
