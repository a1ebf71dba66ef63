import { lstat } from 'node:fs/promises'
import { systemCode } from '../errors.js'

/** Whether something is there, a link that leads nowhere too. */
export async function exists (path: string | Buffer): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false
    throw error
  }
}
