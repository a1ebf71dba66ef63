/** What one stored block of deflate holds at most (RFC 1951, section 3.2.4). */
const mostBytes = 0xffff

/** Ends a deflate stream: a last block, of nothing. */
export const lastStoredBlock = Buffer.of(1, 0, 0, 0xff, 0xff)

/**
 * Bytes as blocks of deflate that are stored as they are, in pieces. Where a zip tells sizes only behind the data,
 * readers that go forward need data that end by themselves: Java's ZipInputStream refuses method 0 (stored) there.
 */
export function* storedBlocks(bytes: Buffer): Generator<Buffer> {
  for (let start = 0; start < bytes.length; start += mostBytes) {
    const piece = bytes.subarray(start, start + mostBytes)
    const head = Buffer.alloc(5)
    head.writeUInt16LE(piece.length, 1)
    head.writeUInt16LE(piece.length ^ 0xffff, 3)
    yield head
    yield piece
  }
}
