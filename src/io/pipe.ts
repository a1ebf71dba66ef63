import { mkdtemp, open, rm, type FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runProgram } from './process.js'

export interface Pipe {
  reader: FileHandle
  writer: FileHandle
}

export interface HeadLine {
  line: string
  replacement: string
}

/** What a program writes into a pipe. */
export interface PipedText {
  descriptor: number
  /** Lines of the text's first 4 KiB, and what takes their place. ASCII. */
  head?: readonly HeadLine[]
  /** Waits for the program. @throws when it has failed: the text is not whole */
  finish(): Promise<void>
  /** Ends the program, which ends the text. */
  stop(): void
  /** Once it is not read any more. */
  close(): Promise<void>
}

/**
 * A pipe of the operating system, which Node itself does not make: for a program's output it takes half the time of the
 * socket that Node makes, and another thread can read it.
 * @throws ProgramError and the file system's errors where mkfifo or the temporary folder can't be used
 */
export async function makePipe(): Promise<Pipe> {
  const folder = await mkdtemp(join(tmpdir(), 'dumbassets-pipe-'))
  try {
    const path = join(folder, 'pipe')
    await runProgram('mkfifo', [path])
    // Opened for both, it does not wait; opened for one, it waits for the other (fifo(7)).
    const both = await open(path, 'r+')
    try {
      const reader = await open(path, 'r')
      try {
        return { reader, writer: await open(path, 'w') }
      } catch (error) {
        await reader.close()
        throw error
      }
    } finally {
      await both.close()
    }
  } finally {
    await rm(folder, { recursive: true })
  }
}

const headBytes = 4096

/** The text with lines of its head replaced. Its first block must hold the whole head. */
export async function* replaceInHead(text: AsyncIterable<Buffer>, lines: readonly HeadLine[]): AsyncGenerator<Buffer> {
  let isFirst = true
  for await (const block of text) {
    if (!isFirst) yield block
    else {
      isFirst = false
      const head = lines.reduce(
        (head, { line, replacement }) => head.replace(`\n${line}\n`, () => `\n${replacement}\n`),
        block.toString('latin1', 0, headBytes)
      )
      yield Buffer.from(head, 'latin1')
      yield block.subarray(headBytes)
    }
  }
}
