import { isUtf8 } from 'node:buffer'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { systemCode } from '../errors.js'

/** Names of all that is in a folder, as bytes; none where it is not there. */
export async function namesIn (folder: string, except: readonly string[] = []): Promise<Buffer[]> {
  const names = await readdir(folder, { encoding: 'buffer' }).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return []
    throw error
  })
  return names.filter(name => !except.includes(name.toString()))
}

/** A name that is not UTF-8 stays the bytes that it is: as text it would be another, which is not there. */
export function childOf (folder: string, name: Buffer): string | Buffer {
  return isUtf8(name) ? join(folder, name.toString()) : Buffer.concat([Buffer.from(`${folder}/`), name])
}
