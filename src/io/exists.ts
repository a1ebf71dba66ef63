import { lstat } from 'node:fs/promises'
import { absentIsNull } from './absent.js'

/** Whether something is there, a link that leads nowhere too. */
export async function exists(path: string | Buffer): Promise<boolean> {
  return (await absentIsNull(lstat(path))) !== null
}
