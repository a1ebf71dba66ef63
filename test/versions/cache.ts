import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { exists } from '../../src/io/exists.js'

/** Where fetched programs stay. PostgreSQL, which doesn't run as root, must be able to read them. */
export const cacheFolder =
  process.getuid?.() === 0
    ? '/var/cache/dumbassets-backup/postgresql'
    : join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'dumbassets-backup', 'postgresql')

/** The folder of that name in the cache; filled by `fill` when it is not there yet, as a whole or not at all. */
export async function cached(name: string, fill: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(cacheFolder, name)
  if (await exists(folder)) return folder
  await mkdir(cacheFolder, { recursive: true, mode: 0o755 })
  const staging = await mkdtemp(`${folder}.new-`)
  try {
    await fill(staging)
    await rename(staging, folder)
  } finally {
    await rm(staging, { recursive: true, force: true })
  }
  return folder
}

/** Of a program that fetches: our own names the proxy, the registry or the certificates that the network needs. */
export function fetchEnvironment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined)
  )
}
