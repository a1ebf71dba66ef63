import { createHash } from 'node:crypto'
import type { Attributes } from './zip.js'

export interface AttributesDigest {
  add(name: string, attributes: Attributes, size: number): void
  /** SHA-256 over all entries added so far, in hex. */
  value(): string
}

/**
 * SHA256SUMS covers what is in the entries; this covers what the zip says about them: name, order, mode, time, size.
 * A line an entry: `<octal mode> <mtime in whole seconds> <size> <name>`, a NUL at its end.
 */
export function createAttributesDigest(): AttributesDigest {
  const hash = createHash('sha256')
  return {
    add(name, { mode, mtime }, size) {
      hash.update(`${mode.toString(8)} ${archivedSeconds(mtime)} ${size} ${name}\0`)
    },
    value: () => hash.copy().digest('hex')
  }
}

/**
 * The whole seconds that a zip's extended timestamp can hold: 1970 to 2038 (Info-ZIP extra field 0x5455, signed 32
 * bits).
 */
export function archivedSeconds(time: Date): number {
  return Math.min(Math.max(Math.floor(time.getTime() / 1000), 0), 0x7fffffff)
}
