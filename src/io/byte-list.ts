export interface ByteList {
  append(bytes: Buffer | string): void
  /** All that was appended, in order. */
  blocks(): Buffer[]
  /** Bytes that were appended. */
  length(): number
}

const blockBytes = 1 << 18

/**
 * Keeps many small pieces in few large blocks: an object for each of 200,000 pieces would take ten times their bytes.
 * `blocks` are those of another list, which it goes on with.
 */
export function createByteList(blocks: Buffer[] = []): ByteList {
  const full = [...blocks]
  let block = Buffer.allocUnsafe(0)
  let filled = 0
  let total = full.reduce((sum, { length }) => sum + length, 0)

  function reserve(length: number): void {
    if (filled + length <= block.length) return
    if (filled > 0) full.push(block.subarray(0, filled))
    // The first block is no larger than what is in it, so that a short list stays small.
    block = Buffer.allocUnsafeSlow(Math.max(length, full.length === 0 ? 4096 : blockBytes))
    filled = 0
  }

  function add(length: number): void {
    filled += length
    total += length
  }

  return {
    append(bytes) {
      if (typeof bytes === 'string') {
        const length = Buffer.byteLength(bytes)
        reserve(length)
        block.write(bytes, filled)
        add(length)
      } else {
        reserve(bytes.length)
        bytes.copy(block, filled)
        add(bytes.length)
      }
    },
    blocks: () => [...full, block.subarray(0, filled)],
    length: () => total
  }
}
