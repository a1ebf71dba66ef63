import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import path from 'node:path'
import type { Sql } from 'postgres'
import { createClient } from '../../openapi/client.js'
import type { RestoreResult } from '../../src/restore/report.js'
import { damageFiles, damageRows } from './damage.js'
import { keepWorking, openLedger, requireAsLeft } from './neighbour.js'
import { compare, differences, takeSnapshot, type Snapshot } from './proof.js'
import { bold, count, green, line, megabytes, seconds, step, table } from './show.js'

export interface Scene {
  baseUrl: string
  /** An OWNER's of `owner`. */
  token: string
  uploadDir: string
  backupDir: string
  /** Has its data backed up, damaged, restored, and the restore undone. */
  owner: string
  /** Shares the database and goes on working. */
  neighbour: string
  connect: () => Promise<Sql>
}

/**
 * Back up, rehearse, have a bad day, restore, compare, undo: all over HTTP.
 * @throws Error when anything is not as it should be
 */
export async function proveRestore(scene: Scene): Promise<void> {
  const { baseUrl, token, uploadDir, backupDir, owner, neighbour, connect } = scene
  const client = createClient(baseUrl, token)
  const sql = await connect()
  const neighbourFolder = path.join(uploadDir, neighbour)
  const snapshot = async (): Promise<Snapshot> => await takeSnapshot(sql, uploadDir, owner)
  try {
    const before = await snapshot()

    step(`POST /api/backup/create, as an owner of ${owner}`)
    const created = await timed(
      async () =>
        await answer(client.POST('/api/backup/create', { body: { type: 'full', description: 'Before the bad day' } }))
    )
    const backup = created.value
    const archive = path.join(backupDir, owner, `backup-${backup.id}.zip`)
    line(
      `${backup.id} in ${seconds(created.ms)}: ${count(backup.counts.rows)} rows in ${backup.counts.tables} tables, ` +
        `${count(backup.counts.files)} files (${megabytes(backup.counts.bytes)}) → an archive of ${megabytes(backup.size)}`
    )
    if (backup.databaseScope !== 'organization') throw new Error('The backup holds more than one organization.')
    line(`Its scope is "organization": no row and no file of ${neighbour} is in it`)
    if ((await sha256Of(archive)) !== backup.checksum)
      throw new Error('The archive on disk has another SHA-256 than the API tells.')
    line(`SHA-256 ${backup.checksum}, the same as the file's on disk`)

    step('GET /api/backup/list')
    const backups = await answer(client.GET('/api/backup/list'))
    table([
      ['timestamp', 'type', 'scope', 'size', 'created by', 'description'],
      ...backups.map(({ timestamp, type, databaseScope, size, createdBy, description }) => [
        timestamp,
        type,
        databaseScope ?? '',
        megabytes(size),
        createdBy,
        description ?? ''
      ])
    ])

    step(`A bad day for ${owner}`)
    line(await damageRows(sql, owner))
    line(await damageFiles(path.join(uploadDir, owner)))
    const damaged = await snapshot()
    if (differences(before, damaged).length === 0)
      throw new Error('The damage changed nothing, so this proves nothing.')

    const params = { path: { backupId: backup.id } }
    step('POST /api/backup/restore/{backupId} with dryRun: true')
    const rehearsed = await timed(
      async () => await answer(client.POST('/api/backup/restore/{backupId}', { params, body: { dryRun: true } }))
    )
    line(`${rehearsed.value.message} in ${seconds(rehearsed.ms)}: a restore has ${changes(rehearsed.value.report)}`)
    requireSame(damaged, await snapshot(), 'The dry run changed something')
    line('Nothing was changed by it')

    step(`POST /api/backup/restore/{backupId}, while ${neighbour} goes on working`)
    const ledger = await openLedger(sql, neighbourFolder, neighbour)
    const work = keepWorking(connect, neighbourFolder, neighbour, ledger)
    const restored = await timed(
      async () => await answer(client.POST('/api/backup/restore/{backupId}', { params, body: {} }))
    ).finally(async () => {
      await work.stop()
    })
    line(`${restored.value.message} in ${seconds(restored.ms)}`)
    line(
      `Meanwhile ${neighbour} committed ${count(ledger.transactions)} transactions, the longest in ${Math.round(ledger.longestMs)} ms`
    )
    const after = await snapshot()
    requireSame(before, after, `Not as before, of ${owner}`)
    await requireAsLeft(sql, neighbourFolder, neighbour, ledger)

    step('POST /api/backup/restores/{restoreId}/undo')
    const { restoreId } = restored.value
    const undone = await timed(
      async () =>
        await answer(client.POST('/api/backup/restores/{restoreId}/undo', { params: { path: { restoreId } } }))
    )
    line(`${undone.value.message} in ${seconds(undone.ms)}`)
    const again = await snapshot()
    requireSame(damaged, again, `Not as before the restore, of ${owner}`)
    await requireAsLeft(sql, neighbourFolder, neighbour, ledger)

    step(`Proof: SHA-256 over every row and file of ${owner}`)
    compare({ before, 'after the bad day': damaged, 'after the restore': after, 'after the undo': again })
    line(
      green(
        `Everything is back: ${differences(before, damaged).length} of ${before.size} lines were damaged, ${before.size} of ${before.size} were as before; and the undo took that back.`
      )
    )
    line(
      green(
        `${neighbour} has all of its ${count(ledger.rows.size)} rows and ${count(ledger.files.size)} files exactly as it left them: each row still where`
      )
    )
    line(
      green(
        'PostgreSQL had put it and of the transaction that wrote it (ctid and xmin), after the restore and after the undo.'
      )
    )

    step('And forward again, for good')
    const final = await answer(
      client.POST('/api/backup/restore/{backupId}', { params, body: { rollbackOnFailure: false } })
    )
    line(`${final.message}, this time without keeping a checkpoint`)
    requireSame(before, await snapshot(), `Not as before, of ${owner}`)

    step(
      'The archive needs no tool of ours. By hand, into an empty database (with -- --keep it is still there to try):'
    )
    for (const command of [
      `unzip ${archive} -d restored && cd restored`,
      'sha256sum -c SHA256SUMS',
      'gunzip -c database.sql.gz | psql -X -v ON_ERROR_STOP=1 "$DATABASE_URL"'
    ])
      line(bold(command))
    console.log()
  } finally {
    await sql.end({ timeout: 5 })
  }
}

/** The report's counts, summed up. */
function changes({ database, files }: RestoreResult['report']): string {
  return [
    { what: 'rows', counts: database?.tables ?? [] },
    { what: 'files', counts: files?.folders ?? [] }
  ]
    .map(({ what, counts }) => {
      const sum = (change: 'added' | 'changed' | 'removed'): string =>
        count(counts.reduce((total, entry) => total + (entry[change] ?? 0), 0))
      return `${sum('added')} ${what} to add, ${sum('changed')} to change, ${sum('removed')} to remove`
    })
    .join('; ')
}

function requireSame(expected: Snapshot, actual: Snapshot, complaint: string): void {
  const different = differences(expected, actual)
  if (different.length > 0) throw new Error(`${complaint}: ${different.join(', ')}`)
}

async function timed<Result>(work: () => Promise<Result>): Promise<{ value: Result; ms: number }> {
  const startedAt = performance.now()
  const value = await work()
  return { value, ms: performance.now() - startedAt }
}

/** `create` and `restore` would answer a job too, if they were asked not to wait. */
type Finished<Data> = Exclude<NonNullable<Data>, { cancellable: boolean }>

/** The answer's body. @throws Error with what the API says went wrong, and the way out */
async function answer<Data>(
  call: Promise<{ data?: Data; error?: unknown; response: Response }>
): Promise<Finished<Data>> {
  const { data, error, response } = await call
  if (data !== undefined && response.status !== 202) return data as Finished<Data>
  const { code, message, remedy } = (error ?? {}) as { code?: string; message?: string; remedy?: string }
  throw new Error(
    `${new URL(response.url).pathname} answered ${[response.status, code, message, remedy].filter(part => part !== undefined).join(' ')}`
  )
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file), hash)
  return hash.digest('hex')
}
