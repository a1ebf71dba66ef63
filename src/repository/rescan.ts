import { openArchive } from '../archive/reader.js'
import { AppError, errorCatalogue, systemCode } from '../errors.js'
import { systemErrors } from '../io/system-errors.js'
import type { Log } from '../log.js'
import type { Repository } from './repository.js'

/**
 * An archive that lies in the repository and is not in the list. `reason` and `remedy` name no organization and no
 * upload.
 */
export interface Stray {
  name: string
  reason: string
  remedy: string
}

/** What the catalog does with what is found. */
export interface Finder {
  /** Makes the record of an archive that has none. @throws AppError when it can't be one */
  adopt(organizationId: string, backupId: string): Promise<void>
  /** The archive of a recorded backup has gone, or has come back. */
  mark(organizationId: string, backupId: string, isThere: boolean): Promise<void>
  /** These are the records that are there now. */
  compare(organizationId: string, records: readonly string[]): Promise<void>
}

export interface Rescan {
  /**
   * Looks once. What changes is acted upon when the next look finds it unchanged: it can be in the middle of a copy or
   * of a job.
   */
  look(isBusy: (organizationId: string) => boolean): Promise<void>
  /** What stands here unrecorded until it is repaired. */
  strays(): Stray[]
  /** Names one at once, as a start does. */
  refuse(organizationId: string, name: string, error: unknown): Promise<void>
}

/** A change can fall into the same tick of a file system's clock as the look before it. */
const clockTickMs = 2000

/**
 * Finds what came into the repository, or went from it, without the service: copied, moved or removed by an operator.
 */
export function createRescan(repository: Repository, finder: Finder, log: Log): Rescan {
  const quiet = new Map<string, { changedAt: number; lookedAt: number }>()
  const archivesBefore = new Map<string, ReadonlySet<string>>()
  /** By place: what it was at the last look. */
  const seen = new Map<string, string>()
  const strays = new Map<string, Stray & { print: string }>()

  function keep(organizationId: string | null, name: string, print: string, error: unknown): void {
    const stray = strayOf(name === '' ? 'the folder of an organization' : name, error)
    strays.set(placeOf(organizationId, name), { ...stray, print })
    log.warn(
      { organizationId, archive: name, remedy: stray.remedy, err: error },
      "An archive in BACKUP_DIR can't be adopted and is left alone"
    )
  }

  /** @returns whether it is still to be acted upon */
  async function visit(organizationId: string | null, name: string, act: () => Promise<void>): Promise<boolean> {
    const place = placeOf(organizationId, name)
    const print = await repository.printOf(organizationId, name)
    if (print === null || strays.get(place)?.print === print) return false
    if (seen.get(place) !== print) {
      seen.set(place, print)
      return true
    }
    strays.delete(place)
    try {
      await act()
    } catch (error) {
      keep(organizationId, name, print, error)
    }
    return false
  }

  async function lookAt(organizationId: string): Promise<void> {
    const lookedAt = Date.now()
    const changedAt = await repository.changedAt(organizationId)
    const before = quiet.get(organizationId)
    if (before !== undefined && before.changedAt === changedAt && before.lookedAt - changedAt > clockTickMs) return
    const { archives, records } = await repository.list(organizationId)
    const recorded = new Set(records)
    await finder.compare(organizationId, records)
    const visited = new Set<string>()
    let isPending = false
    const look = async (name: string, act: () => Promise<void>): Promise<void> => {
      visited.add(placeOf(organizationId, name))
      if (await visit(organizationId, name, act)) isPending = true
    }
    for (const id of archives)
      if (!recorded.has(id))
        await look(nameOf(id), async () => {
          await finder.adopt(organizationId, id)
        })
    for (const name of await repository.otherArchives(organizationId))
      await look(name, async () => {
        await refuseName(repository, organizationId, name)
      })
    if (await lookForMoved(organizationId, new Set(archives), recorded, visited)) isPending = true
    forget(`${organizationId}/`, visited)
    // One that can't be used can be repaired without a change of its folder.
    if (isPending || [...visited].some(place => strays.has(place)) || changedAt === null) quiet.delete(organizationId)
    else quiet.set(organizationId, { changedAt, lookedAt })
  }

  /** @returns whether an archive has gone that may be about to be deleted with its record */
  async function lookForMoved(
    organizationId: string,
    archives: ReadonlySet<string>,
    recorded: ReadonlySet<string>,
    visited: Set<string>
  ): Promise<boolean> {
    const before = archivesBefore.get(organizationId) ?? archives
    const now = new Set(archives)
    for (const id of before) {
      if (archives.has(id) || !recorded.has(id)) continue
      const place = placeOf(organizationId, nameOf(id))
      visited.add(place)
      if (seen.get(place) === 'gone') {
        await finder.mark(organizationId, id, false)
      } else {
        seen.set(place, 'gone')
        now.add(id)
      }
    }
    for (const id of archives) if (!before.has(id) && recorded.has(id)) await finder.mark(organizationId, id, true)
    archivesBefore.set(organizationId, now)
    return now.size > archives.size
  }

  function forget(prefix: string, visited: ReadonlySet<string>): void {
    for (const places of [seen, strays]) {
      for (const place of places.keys()) if (place.startsWith(prefix) && !visited.has(place)) places.delete(place)
    }
  }

  return {
    async look(isBusy) {
      for (const organizationId of await repository.organizations()) {
        if (isBusy(organizationId)) continue
        try {
          await lookAt(organizationId)
        } catch (error) {
          const print = String(systemCode((error as AppError).cause))
          if (strays.get(placeOf(organizationId, ''))?.print !== print) keep(organizationId, '', print, error)
        }
      }
      const loose = await repository.otherArchives(null)
      for (const name of loose)
        await visit(null, name, async () => {
          throw misplaced()
        })
      forget('/', new Set(loose.map(name => placeOf(null, name))))
    },

    strays: () => [...strays.values()].map(({ name, reason, remedy }) => ({ name, reason, remedy })),

    async refuse(organizationId, name, error) {
      keep(organizationId, name, (await repository.printOf(organizationId, name)) ?? '', error)
    }
  }
}

function placeOf(organizationId: string | null, name: string): string {
  return `${organizationId ?? ''}/${name}`
}

function nameOf(backupId: string): string {
  return `backup-${backupId}.zip`
}

/** @throws AppError, always: it says how the archive would be found */
async function refuseName(repository: Repository, organizationId: string, name: string): Promise<void> {
  const opened = await repository.openOther(organizationId, name)
  if (opened === null) return
  try {
    const {
      metadata: { id }
    } = await openArchive(opened.handle, opened.size, organizationId)
    throw misnamed(id, (await repository.printOf(organizationId, nameOf(id))) !== null)
  } finally {
    await opened.handle.close()
  }
}

/** @param isThere whether the backup's own archive is there too */
export function misnamed(backupId: string, isThere: boolean): AppError {
  return new AppError('ARCHIVE_INVALID', 'archive-file-name', "The archive's file name is not that of its backup.", {
    remedy: isThere
      ? `Remove it: ${nameOf(backupId)} is there already.`
      : `Rename it to ${nameOf(backupId)}: it is found then.`
  })
}

function misplaced(): AppError {
  return new AppError('ARCHIVE_INVALID', 'archive-outside-folders', "The archive is in no organization's folder.", {
    remedy:
      'Move it to BACKUP_DIR/{organizationId}/ as backup-{id}.zip, with the ids in its metadata.json, or upload it with POST /api/backup/upload.'
  })
}

function strayOf(name: string, error: unknown): Stray {
  const system = systemCode((error as AppError).cause)
  const known = system === undefined ? undefined : systemErrors[system]
  if (known !== undefined)
    return { name, reason: `The service can't use it: ${known.reason} (${system ?? ''}).`, remedy: known.remedy }
  // Those of the catalogue are of many cases, and their messages can quote the names of uploads.
  if (error instanceof AppError && error.remedy !== errorCatalogue[error.code])
    return { name, reason: error.message, remedy: error.remedy }
  if (error instanceof AppError && error.code === 'ARCHIVE_VERSION_UNSUPPORTED')
    return { name, reason: error.message, remedy: error.remedy }
  return {
    name,
    reason: 'It is not a whole archive of this service.',
    remedy: 'Copy it again from where it came, or remove it; the log has the reason.'
  }
}
