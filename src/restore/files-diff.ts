import pMap from 'p-map'
import { AppError } from '../errors.js'
import { sha256Of } from '../io/hash-file.js'
import type { Listing, StorageStrategy } from '../storage/strategy.js'
import type { FolderReport } from './report.js'

export interface RestoredFile {
  path: string
  size: number
  sha256: string
}

const filesAtOnce = 4
const sampleSize = 10

/** Files by the folder directly below the organization's, `.` for those that are in none. */
export function countFolders(restored: readonly RestoredFile[]): FolderReport[] {
  const folders = new Map<string, number>()
  for (const { path } of restored) folders.set(folderOf(path), (folders.get(folderOf(path)) ?? 0) + 1)
  return [...folders].sort(byName).map(([folder, files]) => ({ folder, files }))
}

/**
 * What a restore would do to the live files. Files of one size are the same when their SHA-256 is. One that can't be
 * read refuses no restore, and so no comparison.
 */
export async function compareFolders(
  restored: readonly RestoredFile[],
  { entries }: Listing,
  storage: StorageStrategy,
  organizationId: string
): Promise<{ folders: FolderReport[]; warnings: string[] }> {
  const warnings: string[] = []
  const live = new Map<string, number>()
  for (const { kind, path, size } of entries) if (kind === 'file') live.set(path, size)
  const folders = new Map<string, Required<FolderReport>>()
  const count = (path: string, change: 'added' | 'changed' | 'removed' | 'unchanged', sign: string) => {
    const folder = folderOf(path)
    const report = folders.get(folder) ?? {
      folder,
      files: 0,
      added: 0,
      changed: 0,
      removed: 0,
      unchanged: 0,
      sample: []
    }
    report[change] += 1
    if (change !== 'removed') report.files += 1
    if (change !== 'unchanged' && report.sample.length < sampleSize) report.sample.push(`${sign} ${path}`)
    folders.set(folder, report)
  }

  const same = await pMap(
    restored,
    async file =>
      live.get(file.path) === file.size &&
      (await hashLive(storage, organizationId, file).catch((error: unknown) => {
        if (!(error instanceof AppError) || error.code !== 'STORAGE_UNAVAILABLE') throw error
        warnings.push(
          `The file ${JSON.stringify(file.path)} that is there now is counted as changed, since it can't be compared. ${error.message}`
        )
        return null
      })) === file.sha256,
    { concurrency: filesAtOnce }
  )
  restored.forEach(({ path }, index) => {
    if (same[index] === true) count(path, 'unchanged', '')
    else if (live.has(path)) count(path, 'changed', '~')
    else count(path, 'added', '+')
    live.delete(path)
  })
  for (const path of live.keys()) count(path, 'removed', '-')
  return { folders: [...folders].sort(byName).map(([, report]) => report), warnings: warnings.sort() }
}

async function hashLive(
  storage: StorageStrategy,
  organizationId: string,
  { path, size }: RestoredFile
): Promise<string | null> {
  const handle = await storage.open(organizationId, path)
  if (handle === null) return null
  try {
    return await sha256Of(handle, size)
  } finally {
    await handle.close()
  }
}

function folderOf(path: string): string {
  const slash = path.indexOf('/')
  return slash === -1 ? '.' : path.slice(0, slash)
}

function byName([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0
}
