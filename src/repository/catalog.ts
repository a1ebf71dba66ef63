import type { BackupType, Metadata } from '../archive/metadata.js'
import { openArchive } from '../archive/reader.js'
import type { Log } from '../log.js'
import { AppError } from '../errors.js'
import { createHashStream } from '../io/hash-stream.js'
import { recordOf, type Backup } from './record.js'
import type { Repository } from './repository.js'

/** The records of every organization, listed newest first. */
export interface Catalog {
  get (organizationId: string, backupId: string): Promise<Backup | null>
  /** `cursor` is a former page's `next`; null `next` on the last page. @throws AppError BAD_REQUEST for a cursor that is none of ours */
  list (organizationId: string, page: { type?: BackupType, limit: number, cursor?: string }): Promise<{ backups: Backup[], next: string | null }>
  add (record: Backup): Promise<void>
  remove (organizationId: string, backupId: string): Promise<void>
  /** Start-up: adopts archives without a record (reads and hashes them), marks records without an archive. */
  reconcile (): Promise<void>
}

/** What is kept in memory of a backup, so that a page reads only the records that it shows. */
interface Position { id: string, timestamp: string, type: BackupType }

/** The catalog of a repository that only this process writes. */
export function createCatalog (repository: Repository, log: Log): Catalog {
  const positions = new Map<string, Promise<Position[]>>()

  function positionsOf (organizationId: string): Promise<Position[]> {
    let known = positions.get(organizationId)
    if (known === undefined) {
      known = readPositions(organizationId)
      positions.set(organizationId, known)
      known.catch(() => positions.delete(organizationId))
    }
    return known
  }

  async function readPositions (organizationId: string): Promise<Position[]> {
    const read: Position[] = []
    for (const id of (await repository.list(organizationId)).records) {
      const record = await repository.readRecord(organizationId, id)
      if (record !== null) read.push(positionOf(record))
    }
    return read.sort(newestFirst)
  }

  async function reconcileOrganization (organizationId: string): Promise<void> {
    const { archives, records } = await repository.list(organizationId)
    const recorded = new Set(records)
    for (const id of archives) {
      if (recorded.has(id)) continue
      try {
        await repository.writeRecord(await readRecordFromArchive(repository, organizationId, id))
        log.info({ organizationId, backupId: id }, 'Adopted an archive that had no record')
      } catch (error) {
        log.warn({ organizationId, backupId: id, err: error }, 'An archive without a record can\'t be adopted and is left alone')
      }
    }
    const present = new Set(archives)
    for (const id of records) {
      const record = await repository.readRecord(organizationId, id)
      const state = present.has(id) ? 'available' : 'missing'
      if (record === null || record.state === state) continue
      if (state === 'missing') log.warn({ organizationId, backupId: id }, 'The archive of a backup is gone')
      await repository.writeRecord({ ...record, state })
    }
  }

  return {
    get: async (organizationId, backupId) => await repository.readRecord(organizationId, backupId),

    async list (organizationId, { type, limit, cursor }) {
      const all = await positionsOf(organizationId)
      const after = cursor === undefined ? null : decodeCursor(cursor)
      const start = after === null ? 0 : firstAfter(all, after)
      const backups: Backup[] = []
      for (let index = start; index < all.length; index += 1) {
        const position = all[index] as Position
        if (type !== undefined && position.type !== type) continue
        if (backups.length === limit) return { backups, next: encodeCursor(backups[limit - 1] as Backup) }
        const record = await repository.readRecord(organizationId, position.id)
        if (record !== null) backups.push(record)
      }
      return { backups, next: null }
    },

    async add (record) {
      await repository.writeRecord(record)
      const all = (await positionsOf(record.organizationId)).filter(position => position.id !== record.id)
      all.splice(firstAfter(all, record), 0, positionOf(record))
      positions.set(record.organizationId, Promise.resolve(all))
    },

    async remove (organizationId, backupId) {
      await repository.deleteRecord(organizationId, backupId)
      const all = await positionsOf(organizationId)
      positions.set(organizationId, Promise.resolve(all.filter(position => position.id !== backupId)))
    },

    async reconcile () {
      for (const organizationId of await repository.organizations()) await reconcileOrganization(organizationId)
      positions.clear()
    }
  }
}

async function readRecordFromArchive (repository: Repository, organizationId: string, backupId: string): Promise<Backup> {
  const hashed = createHashStream()
  const stream = await repository.readArchive(organizationId, backupId)
  const opened = await repository.openArchive(organizationId, backupId)
  if (stream === null || opened === null) throw new AppError('ARCHIVE_MISSING', 'The archive is gone.')
  try {
    let metadata: Metadata
    try {
      ({ metadata } = await openArchive(opened.handle, opened.size, organizationId))
    } finally {
      await opened.handle.close()
    }
    if (metadata.id !== backupId) throw new AppError('ARCHIVE_INVALID', 'The archive\'s file name is not that of its backup.')
    for await (const chunk of stream.pipe(hashed)) void chunk
    return recordOf(metadata, { size: hashed.bytes, checksum: hashed.digest() })
  } finally {
    stream.destroy()
  }
}

function positionOf ({ id, timestamp, type }: Position): Position {
  return { id, timestamp, type }
}

type Place = Pick<Position, 'id' | 'timestamp'>

function newestFirst (a: Place, b: Place): number {
  if (a.timestamp !== b.timestamp) return a.timestamp < b.timestamp ? 1 : -1
  return a.id < b.id ? 1 : a.id > b.id ? -1 : 0
}

/** Index of the first position that is older than `place`. */
function firstAfter (sorted: Position[], place: Place): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (newestFirst(sorted[middle] as Position, place) <= 0) low = middle + 1
    else high = middle
  }
  return low
}

function encodeCursor ({ id, timestamp }: Place): string {
  return Buffer.from(`${timestamp} ${id}`).toString('base64url')
}

function decodeCursor (cursor: string): Place {
  const match = /^(\S{24}) ([0-9a-f-]{36})$/.exec(Buffer.from(cursor, 'base64url').toString())
  if (match === null) throw new AppError('BAD_REQUEST', 'The cursor is none that this service gave.', { remedy: 'Start again without a cursor.' })
  return { timestamp: match[1] as string, id: match[2] as string }
}
