import type { Ring } from '../io/ring.js'

/** Files up to this many bytes are encoded whole, in batches; larger ones flow in blocks of this size. */
export const blockBytes = 1 << 20

export interface FileToEncode {
  /** Absolute. */
  path: string
  /** Its type decides whether it is worth compressing. */
  name: string
  /** As it was listed; no more than this is read. */
  size: number
  mtimeMs: number
}

export interface Measures {
  /** Of the bytes before compression. */
  crc32: number
  size: number
  sha256: string
}

/** A small file's bytes in the batch's slot. */
export interface SmallResult extends Measures {
  start: number
  length: number
  deflated: boolean
  /** It is not what it was when it was listed. */
  changed: boolean
}

/** What a worker is started with. */
export interface LaneData {
  /** Nothing outside this folder is read; absolute, links resolved. */
  root: string
  ring: Ring
}

export type EncodeTask =
  { kind: 'batch'; files: FileToEncode[]; level: number } | { kind: 'large'; file: FileToEncode; level: number }

export type EncodeReply =
  | { kind: 'batch'; results: Array<SmallResult | null> }
  | { kind: 'gone' }
  | { kind: 'opened'; deflated: boolean }
  | { kind: 'block'; length: number }
  | ({ kind: 'end'; changed: boolean } & Measures)
