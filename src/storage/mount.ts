import { readFile, realpath, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { systemCode } from '../errors.js'

/** Whether something is mounted at the folder itself, so that it can't be renamed. False when it is not there. */
export async function isMountPoint (folder: string): Promise<boolean> {
  try {
    if ((await stat(folder)).dev !== (await stat(dirname(folder))).dev) return true
    return await isListed(await realpath(folder))
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false
    throw error
  }
}

/** A bind mount of the same file system shows in the list of mounts alone (proc(5), mountinfo: the fifth field). */
async function isListed (path: string): Promise<boolean> {
  if (process.platform !== 'linux') return false
  const mounts = await readFile('/proc/self/mountinfo', 'utf8')
  const escaped = path.replaceAll(/[\\ \t\n]/g, character => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`)
  return mounts.split('\n').some(line => line.split(' ')[4] === escaped)
}
