const newline = 0x0a
const leastBytes = 1 << 20
const mostBytes = 8 << 20
/** One line in this many ends a block, once the block has its least size; with lines of 200 bytes that adds 3 MB. */
const linesPerCut = 1 << 14

/**
 * Cuts a text into blocks of 1 to 8 MiB at ends of lines that the text itself chooses. Two texts that differ in a few
 * places have the same blocks everywhere else, however far they have shifted, which lets backup programs that keep each
 * piece once find them again.
 */
export async function * cutByContent (text: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let parts: Buffer[] = []
  let length = 0
  for await (const chunk of text) {
    let from = 0
    while (from < chunk.length) {
      const cut = findCut(chunk, from, length)
      const end = cut === -1 ? chunk.length : cut
      parts.push(chunk.subarray(from, end))
      length += end - from
      from = end
      if (cut !== -1) {
        yield Buffer.concat(parts, length)
        parts = []
        length = 0
      }
    }
  }
  if (length > 0) yield Buffer.concat(parts, length)
}

/** Where the block that is `length` bytes long already ends in the chunk, after `from`; -1 when it does not. */
function findCut (chunk: Buffer, from: number, length: number): number {
  const most = from + mostBytes - length
  let position = from + Math.max(0, leastBytes - length)
  while (position < Math.min(chunk.length, most)) {
    const end = chunk.indexOf(newline, position)
    if (end === -1 || end >= most) break
    if (endsBlock(chunk, end)) return end + 1
    position = end + 1
  }
  return most <= chunk.length ? most : -1
}

/** By the last bytes of the line and those before them, which differ from row to row. A line cut by a chunk never ends one. */
function endsBlock (chunk: Buffer, end: number): boolean {
  if (end < 24) return false
  let hash = Math.imul(chunk.readInt32LE(end - 4), 0x9e3779b1)
  hash = Math.imul(hash ^ chunk.readInt32LE(end - 12), 0x85ebca6b)
  hash = Math.imul(hash ^ chunk.readInt32LE(end - 16), 0xc2b2ae35)
  hash = Math.imul(hash ^ chunk.readInt32LE(end - 24), 0x27d4eb2f)
  return (hash >>> 8) % linesPerCut === 0
}
