import { mkdtemp, open, rm, type FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runProgram } from './process.js'

export interface Pipe {
  reader: FileHandle
  writer: FileHandle
}

/** What a program writes into a pipe. */
export interface PipedText {
  descriptor: number
  /** Waits for the program. @throws when it has failed: the text is not whole */
  finish (): Promise<void>
  /** Ends the program, which ends the text. */
  stop (): void
  /** Once nobody reads. */
  close (): Promise<void>
}

/**
 * A pipe of the operating system, which Node itself does not make: for a program's output it takes half the time of the
 * socket that Node makes, and another thread can read it.
 * @throws ProgramError and the file system's errors where mkfifo or the temporary folder can't be used
 */
export async function makePipe (): Promise<Pipe> {
  const folder = await mkdtemp(join(tmpdir(), 'dumbassets-pipe-'))
  try {
    const path = join(folder, 'pipe')
    await runProgram('mkfifo', [path])
    // Opened for both, it waits for nobody; opened for one, it waits for the other (fifo(7)).
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
