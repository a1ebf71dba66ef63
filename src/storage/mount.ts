import { readFile, realpath, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { systemCode } from '../errors.js'

/** Whether something is mounted at the folder itself, so that it can't be renamed. False when it is not there. */
export async function isMountPoint(folder: string): Promise<boolean> {
  try {
    if ((await stat(folder)).dev !== (await stat(dirname(folder))).dev) return true
    return await isListed(await realpath(folder))
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false
    throw error
  }
}

/** What is mounted inside the folder, as paths below it. Only known on Linux. */
export async function mountsInside(folder: string): Promise<string[]> {
  try {
    const prefix = `${await realpath(folder)}/`
    return (await listMounts()).filter(path => path.startsWith(prefix)).map(path => path.slice(prefix.length))
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return []
    throw error
  }
}

/** A bind mount of the same file system shows in the list of mounts alone. */
async function isListed(path: string): Promise<boolean> {
  return (await listMounts()).includes(path)
}

/** The fifth field of each line, with its escapes (proc(5), mountinfo). */
async function listMounts(): Promise<string[]> {
  if (process.platform !== 'linux') return []
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n')
  return lines.map(line =>
    (line.split(' ')[4] ?? '').replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
      String.fromCharCode(parseInt(octal, 8))
    )
  )
}
