import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import path from 'node:path'
import type { Sql } from 'postgres'
import { createClient } from '../../openapi/client.js'
import type { RestoreResult } from '../../src/restore/report.js'
import { damageFiles, damageRows } from './damage.js'
import { compare, takeSnapshot, type Snapshot } from './proof.js'
import { bold, count, green, line, megabytes, seconds, step, table } from './show.js'

export interface Scene {
  baseUrl: string
  /** An OWNER's of the first organization. */
  token: string
  uploadDir: string
  backupDir: string
  /** The first one's backup is made and restored; the others' files must stay as they are. */
  organizations: readonly [string, ...string[]]
  connect: () => Promise<Sql>
}

/** Back up, list, rehearse, damage, restore, compare: all over HTTP. @throws Error when anything is not as it was */
export async function proveRestore ({ baseUrl, token, uploadDir, backupDir, organizations, connect }: Scene): Promise<void> {
  const client = createClient(baseUrl, token)
  const [organizationId] = organizations

  // A connection of its own each time: a restore ends every session of the database.
  async function withSql<Result> (use: (sql: Sql) => Promise<Result>): Promise<Result> {
    const sql = await connect()
    try {
      return await use(sql)
    } finally {
      await sql.end({ timeout: 5 })
    }
  }
  const snapshot = async (): Promise<Snapshot> => await withSql(async sql => await takeSnapshot(sql, uploadDir, organizations))

  const before = await snapshot()

  step('POST /api/backup/create')
  const created = await timed(async () => await answer(client.POST('/api/backup/create', {
    body: { type: 'full', description: 'Before the bad day' }
  })))
  const backup = created.value
  const archive = path.join(backupDir, organizationId, `backup-${backup.id}.zip`)
  line(`${backup.id} in ${seconds(created.ms)}: ${count(backup.counts.rows)} rows in ${backup.counts.tables} tables, ` +
    `${count(backup.counts.files)} files (${megabytes(backup.counts.bytes)}) → an archive of ${megabytes(backup.size)}`)
  if (await sha256Of(archive) !== backup.checksum) throw new Error('The archive on disk has another SHA-256 than the API tells.')
  line(`SHA-256 ${backup.checksum}, the same as the file's on disk`)
  for (const warning of backup.warnings) line(`Warning: ${warning}`)

  step('GET /api/backup/list')
  const backups = await answer(client.GET('/api/backup/list'))
  table([['timestamp', 'type', 'size', 'created by', 'description'], ...backups.map(({ timestamp, type, size, createdBy, description }) =>
    [timestamp, type, megabytes(size), createdBy, description ?? ''])])

  const params = { path: { backupId: backup.id } }
  step('POST /api/backup/restore/{backupId} with dryRun: true')
  const rehearse = async () => await answer(client.POST('/api/backup/restore/{backupId}', { params, body: { dryRun: true } }))
  const rehearsed = await timed(rehearse)
  line(`${rehearsed.value.message} in ${seconds(rehearsed.ms)}: a restore would find ${changes(rehearsed.value.report)}`)
  requireSame(before, await snapshot(), 'The dry run changed something')
  line('Nothing was changed by it')

  step('A bad day')
  line(await withSql(damageRows))
  line(await damageFiles(path.join(uploadDir, organizationId)))
  const damaged = await snapshot()
  line(`A dry run says what a restore would do now: ${changes((await rehearse()).report)}`)

  step('POST /api/backup/restore/{backupId}')
  const restored = await timed(async () => await answer(client.POST('/api/backup/restore/{backupId}', { params, body: {} })))
  const { outageMs } = restored.value.report
  line(`${restored.value.message} in ${seconds(restored.ms)}${outageMs === undefined ? '' : `; the database was away for ${outageMs} ms`}`)
  for (const warning of restored.value.report.warnings) line(`Warning: ${warning}`)

  step('Proof: SHA-256 over every row, definition and file')
  const after = await snapshot()
  const { harmed, lost } = compare(before, damaged, after)
  if (harmed.length === 0) throw new Error('The damage changed nothing, so this proves nothing.')
  if (lost.length > 0) throw new Error(`Not as before: ${lost.join(', ')}`)
  line(green(`Everything is back: ${harmed.length} of ${before.size} lines were damaged, ${before.size} of ${before.size} are as before.`))

  step('The archive needs no tool of ours. By hand, into an empty database:')
  for (const command of [
    `unzip ${archive} -d restored && cd restored`,
    'sha256sum -c SHA256SUMS',
    'gunzip -c database.sql.gz | psql -X -v ON_ERROR_STOP=1 "$DATABASE_URL"'
  ]) line(bold(command))
  console.log()
}

/** The report's counts, summed up. */
function changes ({ database, files }: RestoreResult['report']): string {
  return [{ what: 'rows', counts: database?.tables ?? [] }, { what: 'files', counts: files?.folders ?? [] }].map(({ what, counts }) => {
    const sum = (change: 'added' | 'changed' | 'removed'): string => count(counts.reduce((total, entry) => total + (entry[change] ?? 0), 0))
    return `${sum('added')} ${what} to add, ${sum('changed')} to change, ${sum('removed')} to remove`
  }).join('; ')
}

function requireSame (expected: Snapshot, actual: Snapshot, complaint: string): void {
  for (const [name, { sha256 }] of expected) {
    if (actual.get(name)?.sha256 !== sha256) throw new Error(`${complaint}: ${name}`)
  }
}

async function timed<Result> (work: () => Promise<Result>): Promise<{ value: Result, ms: number }> {
  const startedAt = performance.now()
  const value = await work()
  return { value, ms: performance.now() - startedAt }
}

/** `create` and `restore` would answer a job too, if they were asked not to wait. */
type Finished<Data> = Exclude<NonNullable<Data>, { cancellable: boolean }>

/** The answer's body. @throws Error with what the API says went wrong, and the way out */
async function answer<Data> (call: Promise<{ data?: Data, error?: unknown, response: Response }>): Promise<Finished<Data>> {
  const { data, error, response } = await call
  if (data !== undefined && response.status !== 202) return data as Finished<Data>
  const { code, message, remedy } = (error ?? {}) as { code?: string, message?: string, remedy?: string }
  throw new Error(`${new URL(response.url).pathname} answered ${[response.status, code, message, remedy].filter(part => part !== undefined).join(' ')}`)
}

async function sha256Of (file: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file), hash)
  return hash.digest('hex')
}
