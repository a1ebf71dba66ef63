import { rm } from 'node:fs/promises'
import { exists } from './exists.js'
import { runProgram } from './process.js'

const rmProgram = '/bin/rm'

/**
 * Removes a folder with all that is in it, by rm(1): Node.js' own takes the event loop for tens of milliseconds at a
 * time where there are thousands of files, and can't go down to what lies so deep that its path is longer than a call
 * may be given (4096 bytes on Linux). Idempotent.
 */
export async function removeTree(folder: string): Promise<void> {
  if (!(await exists(folder))) return
  try {
    await runProgram(rmProgram, ['-rf', '--', folder])
  } catch {
    // No such program, or what it could not do: then this says why.
    await rm(folder, { recursive: true, force: true })
  }
}
