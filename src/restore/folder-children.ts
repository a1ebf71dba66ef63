import { isUtf8 } from 'node:buffer'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { absentIsNull } from '../io/absent.js'

/** Names of all that is in a folder, as bytes; none where it is not there. */
export async function namesIn(folder: string, except: readonly string[] = []): Promise<Buffer[]> {
  const names = (await absentIsNull(readdir(folder, { encoding: 'buffer' }))) ?? []
  return names.filter(name => !except.includes(name.toString()))
}

/** The path of an entry. A name that is not UTF-8 stays bytes, since decoding it would name another entry. */
export function childOf(folder: string, name: Buffer): string | Buffer {
  return isUtf8(name) ? join(folder, name.toString()) : Buffer.concat([Buffer.from(`${folder}/`), name])
}
