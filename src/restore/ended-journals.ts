import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { absentIsNull } from '../io/absent.js'
import { syncFolder } from '../io/durable.js'
import { isUuid } from '../io/safe-path.js'

/** The oldest are forgotten. */
export const keptEnded = 1000

export interface EndedJournal {
  number: number
  restoreId: string
  name: string
}

/** Of the journals' folder. */
const endedFolder = 'ended'
const namePattern = /^(\d{10})-([0-9a-f-]{36})\.journal$/

/**
 * Puts a journal aside that nothing is ever added to again. What is looked through for restores to finish stays short,
 * and a name tells how many restores the organization had before. A rename: whenever it is cut off, the journal is here
 * or there.
 */
export async function putAside(
  folder: string,
  { restoreId, number = 0 }: { restoreId: string; number?: number }
): Promise<void> {
  const ended = join(folder, endedFolder)
  await mkdir(ended, { recursive: true })
  await rename(
    join(folder, `${restoreId}.journal`),
    join(ended, `${String(number).padStart(10, '0')}-${restoreId}.journal`)
  )
  for (const { name } of (await listEnded(folder)).slice(keptEnded)) await rm(join(folder, name), { force: true })
  await syncFolder(ended)
  await syncFolder(folder)
}

/** Newest first. Their names are those below the journals' folder. */
export async function listEnded(folder: string): Promise<EndedJournal[]> {
  const names = (await absentIsNull(readdir(join(folder, endedFolder)))) ?? []
  return names
    .flatMap(name => {
      const [, number, restoreId] = namePattern.exec(name) ?? []
      return restoreId === undefined || !isUuid(restoreId)
        ? []
        : [{ number: Number(number), restoreId, name: join(endedFolder, name) }]
    })
    .sort((a, b) => (a.name < b.name ? 1 : -1))
}
