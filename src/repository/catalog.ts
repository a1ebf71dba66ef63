import type { BackupType } from '../archive/metadata.js'
import { openArchive } from '../archive/reader.js'
import { keyId, type SigningKeys } from '../archive/signature.js'
import type { Log } from '../log.js'
import { AppError } from '../errors.js'
import { sha256Of } from '../io/hash-file.js'
import { decodeCursor, encodeCursor } from './cursor.js'
import { createRecordCache } from './record-cache.js'
import { recordOf, type Backup } from './record.js'
import type { Repository } from './repository.js'
import { createRescan, misnamed, type Stray } from './rescan.js'

/** The records of every organization, listed newest first. */
export interface Catalog {
  get(organizationId: string, backupId: string): Promise<Backup | null>
  /**
   * `cursor` is a former page's `next`; null `next` on the last page.
   * @throws AppError BAD_REQUEST for a cursor that this service has not given
   */
  list(
    organizationId: string,
    page: { type?: BackupType; limit: number; cursor?: string }
  ): Promise<{ backups: Backup[]; next: string | null }>
  add(record: Backup): Promise<void>
  remove(organizationId: string, backupId: string): Promise<void>
  /** Start-up: adopts archives without a record (reads and hashes them), marks records without an archive. */
  reconcile(): Promise<void>
  /**
   * The same for what changed since, but for organizations that `isBusy`; a change is acted upon once two calls have
   * seen it.
   */
  rescan(isBusy: (organizationId: string) => boolean): Promise<void>
  /** Archives that are not in the list, with the reason. */
  strays(): Stray[]
}

/** What is kept in memory of a backup, so that a page reads only the records that it shows. */
interface Position {
  id: string
  timestamp: string
  type: BackupType
}

/** The catalog of a repository that only this process writes. */
export function createCatalog(repository: Repository, signing: SigningKeys, log: Log): Catalog {
  const positions = new Map<string, Promise<Position[]>>()
  const cache = createRecordCache(async (organizationId, backupId) => {
    const record = await repository.readRecord(organizationId, backupId)
    return record === null ? null : judged(record)
  })
  const keyIds = new Set([signing.current, ...signing.previous].map(keyId))
  let checking: Promise<void> | null = null

  /** By the keys of now: its record tells which it was. One of a release that did not write that is believed. */
  function judged(record: Backup): Backup {
    return record.signedBy === undefined ? record : { ...record, trusted: keyIds.has(record.signedBy) }
  }

  /**
   * What is kept in memory must not hide that the repository is gone. A request that comes during a look shares its
   * answer: many clients ask at once.
   */
  async function requireRepository(): Promise<void> {
    checking ??= repository.check().finally(() => {
      checking = null
    })
    await checking
  }

  function positionsOf(organizationId: string): Promise<Position[]> {
    let known = positions.get(organizationId)
    if (known === undefined) {
      known = readPositions(organizationId)
      positions.set(organizationId, known)
      known.catch(() => positions.delete(organizationId))
    }
    return known
  }

  async function readPositions(organizationId: string): Promise<Position[]> {
    const read: Position[] = []
    for (const id of (await repository.list(organizationId)).records) {
      const record = await repository.readRecord(organizationId, id)
      if (record !== null) read.push(positionOf(record))
    }
    return read.sort(newestFirst)
  }

  /** Changes what is known, in the order of the calls; what is not known yet is read with the change in it. */
  function update(organizationId: string, change: (all: Position[]) => Position[]): void {
    const known = positions.get(organizationId)
    if (known === undefined) return
    const changed = known.then(change)
    positions.set(organizationId, changed)
    changed.catch(() => positions.delete(organizationId))
  }

  const rescan = createRescan(
    repository,
    {
      async adopt(organizationId, backupId) {
        const record = await readRecordFromArchive(repository, signing, organizationId, backupId)
        // It takes a while to read one, and it may be deleted or recorded meanwhile.
        if (
          (await repository.readRecord(organizationId, backupId)) !== null ||
          !(await repository.list(organizationId)).archives.includes(backupId)
        )
          return
        await add(record)
        log.info({ organizationId, backupId, trusted: record.trusted }, 'Adopted an archive that had no record')
      },

      async mark(organizationId, backupId, isThere) {
        const record = await repository.readRecord(organizationId, backupId)
        const state = isThere ? 'available' : 'missing'
        if (record === null || record.state === state) return
        if (!isThere) log.warn({ organizationId, backupId }, 'The archive of a backup is gone')
        await add({ ...record, state })
      },

      async compare(organizationId, records) {
        const known = await positions.get(organizationId)
        if (known === undefined) return
        const ids = new Set(known.map(({ id }) => id))
        const changed = [...records.filter(id => !ids.delete(id)), ...ids]
        if (changed.length === 0) return
        for (const id of changed) cache.forget(organizationId, id)
        positions.delete(organizationId)
      }
    },
    log
  )

  async function add(record: Backup): Promise<void> {
    try {
      await repository.writeRecord(record)
    } finally {
      cache.forget(record.organizationId, record.id)
    }
    update(record.organizationId, known => {
      const others = known.filter(position => position.id !== record.id)
      return others.toSpliced(firstAfter(others, record), 0, positionOf(record))
    })
  }

  async function adopt(organizationId: string, backupId: string): Promise<void> {
    try {
      const record = await readRecordFromArchive(repository, signing, organizationId, backupId)
      await repository.writeRecord(record)
      log.info({ organizationId, backupId, trusted: record.trusted }, 'Adopted an archive that had no record')
    } catch (error) {
      await rescan.refuse(organizationId, `backup-${backupId}.zip`, error)
    }
  }

  async function reconcileOrganization(organizationId: string): Promise<void> {
    const { archives, records } = await repository.list(organizationId)
    const present = new Set(archives)
    const recorded = new Set<string>()
    let lost = 0
    for (const id of records) {
      const record = await repository.readRecord(organizationId, id)
      if (record === null) {
        log.warn({ organizationId, backupId: id }, 'A record is damaged')
        continue
      }
      recorded.add(id)
      if (record.trusted && !judged(record).trusted) lost += 1
      const state = present.has(id) ? 'available' : 'missing'
      if (record.state === state) continue
      if (state === 'missing') log.warn({ organizationId, backupId: id }, 'The archive of a backup is gone')
      await repository.writeRecord({ ...record, state })
    }
    if (lost > 0)
      log.warn(
        { organizationId, backups: lost },
        "No present key verifies backups that were signed here: put the former key into BACKUP_SIGNING_KEY_PREVIOUS, or they can't be restored"
      )
    for (const id of archives) if (!recorded.has(id)) await adopt(organizationId, id)
  }

  return {
    async get(organizationId, backupId) {
      await requireRepository()
      return await cache.read(organizationId, backupId)
    },

    async list(organizationId, { type, limit, cursor }) {
      await requireRepository()
      const all = await positionsOf(organizationId)
      const matching = type === undefined ? all : all.filter(position => position.type === type)
      let at = cursor === undefined ? 0 : firstAfter(matching, placeOf(cursor))
      const backups: Backup[] = []
      // Once, unless records have been damaged.
      while (at < matching.length && backups.length < limit) {
        const wanted = matching.slice(at, at + limit - backups.length)
        at += wanted.length
        const records = await Promise.all(wanted.map(async ({ id }) => await cache.read(organizationId, id)))
        backups.push(...records.filter(record => record !== null))
      }
      const last = backups.at(-1)
      return {
        backups,
        next: last !== undefined && at < matching.length ? encodeCursor(last.timestamp, last.id) : null
      }
    },

    add,

    async remove(organizationId, backupId) {
      try {
        await repository.deleteRecord(organizationId, backupId)
      } finally {
        cache.forget(organizationId, backupId)
      }
      update(organizationId, known => known.filter(position => position.id !== backupId))
    },

    async reconcile() {
      for (const organizationId of await repository.organizations()) await reconcileOrganization(organizationId)
      positions.clear()
      cache.clear()
    },

    rescan: async isBusy => {
      await rescan.look(isBusy)
    },
    strays: rescan.strays
  }
}

async function readRecordFromArchive(
  repository: Repository,
  signing: SigningKeys,
  organizationId: string,
  backupId: string
): Promise<Backup> {
  const opened = await repository.openArchive(organizationId, backupId)
  if (opened === null) throw new AppError('ARCHIVE_MISSING', 'archive-gone', 'The archive is gone.')
  const { handle, size } = opened
  try {
    const { metadata, signedBy } = await openArchive(handle, size, organizationId, signing)
    if (metadata.id !== backupId)
      throw misnamed(metadata.id, (await repository.list(organizationId)).archives.includes(metadata.id))
    return recordOf(metadata, { size, checksum: await sha256Of(handle, size), signedBy })
  } finally {
    await handle.close()
  }
}

function positionOf({ id, timestamp, type }: Position): Position {
  return { id, timestamp, type }
}

type Place = Pick<Position, 'id' | 'timestamp'>

function newestFirst(a: Place, b: Place): number {
  if (a.timestamp !== b.timestamp) return a.timestamp < b.timestamp ? 1 : -1
  return a.id < b.id ? 1 : a.id > b.id ? -1 : 0
}

/** Index of the first position that is older than `place`. */
function firstAfter(sorted: Position[], place: Place): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (newestFirst(sorted[middle] as Position, place) <= 0) low = middle + 1
    else high = middle
  }
  return low
}

function placeOf(cursor: string): Place {
  const [timestamp = '', id = ''] = decodeCursor(cursor, /^(\S{24}) ([0-9a-f-]{36})$/)
  return { timestamp, id }
}
