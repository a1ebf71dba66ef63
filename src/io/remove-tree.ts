import { rm } from 'node:fs/promises'
import { systemCode } from '../errors.js'
import { runProgram } from './process.js'

/**
 * Removes a folder with all that is in it, also what lies so deep that its path is longer than a call may be given (4096
 * bytes on Linux): rm(1) goes down folder by folder, Node.js does not. Idempotent.
 */
export async function removeTree (folder: string): Promise<void> {
  try {
    await rm(folder, { recursive: true, force: true })
  } catch (error) {
    if (systemCode(error) !== 'ENAMETOOLONG') throw error
    await runProgram('/bin/rm', ['-rf', '--', folder])
  }
}
