const newline = 0x0a
const leastBytes = 1 << 20
const mostBytes = 8 << 20
/** One line in this many ends a block, once the block has its least size; with lines of 200 bytes that adds 3 MB. */
const linesPerCut = 1 << 14

export interface ContentBlock {
  text: Buffer
  /** Gives its memory to a later block. */
  release(): void
}

/**
 * Cuts a text into blocks of 1 to 8 MiB at ends of lines that the text itself chooses. Two texts that differ in a few
 * places have the same blocks everywhere else, however far they have shifted, which lets backup programs that keep each
 * piece once find them again. Memory is used again and again: a gigabyte of garbage outside V8's heap makes it search
 * the heap every few milliseconds.
 */
export async function* cutByContent(text: AsyncIterable<Buffer>): AsyncGenerator<ContentBlock> {
  const released: Buffer[] = []
  const take = (): Buffer => released.pop() ?? Buffer.allocUnsafeSlow(mostBytes)
  const blockOf = (memory: Buffer, length: number): ContentBlock => ({
    text: memory.subarray(0, length),
    release: () => {
      released.push(memory)
    }
  })

  let memory = take()
  let length = 0
  for await (const chunk of text) {
    for (let from = 0; from < chunk.length;) {
      const known = length
      const copied = chunk.copy(memory, known, from)
      from += copied
      length += copied
      for (let cut = findCut(memory, known, length); cut !== -1; cut = findCut(memory, leastBytes, length)) {
        const next = take()
        const rest = memory.copy(next, 0, cut, length)
        yield blockOf(memory, cut)
        memory = next
        length = rest
      }
    }
  }
  if (length > 0) yield blockOf(memory, length)
}

/** Where a block ends of which nothing before `known` ends it; -1 when it needs more than these `length` bytes. */
function findCut(memory: Buffer, known: number, length: number): number {
  const text = memory.subarray(0, length)
  for (let position = Math.max(known, leastBytes); position < length;) {
    const end = text.indexOf(newline, position)
    if (end === -1) break
    if (endsBlock(memory, end)) return end + 1
    position = end + 1
  }
  return length === mostBytes ? mostBytes : -1
}

/** By the last bytes of the line and those before them, which differ from row to row. */
function endsBlock(memory: Buffer, end: number): boolean {
  let hash = Math.imul(memory.readInt32LE(end - 4), 0x9e3779b1)
  hash = Math.imul(hash ^ memory.readInt32LE(end - 12), 0x85ebca6b)
  hash = Math.imul(hash ^ memory.readInt32LE(end - 16), 0xc2b2ae35)
  hash = Math.imul(hash ^ memory.readInt32LE(end - 24), 0x27d4eb2f)
  return (hash >>> 8) % linesPerCut === 0
}
