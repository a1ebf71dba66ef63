import { createHmac, randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Sql } from 'postgres'
import { createClient } from '../openapi/client.js'
import { startService, type Service } from '../scripts/demo/service.js'
import type { BackupType } from '../src/archive/metadata.js'
import { quoteIdentifier } from '../src/database/identifiers.js'
import { readCredentials } from '../src/database/embedded/credentials.js'
import { toEnvironment, withSql, type Connection } from '../src/database/connection/connection.js'
import { runProgram } from '../src/io/process.js'
import { findPostgresTools } from '../src/database/postgres-tools.js'
import type { Backup } from '../src/repository/record.js'
import type { RestoreReport } from '../src/restore/report.js'
import { probeEnvironment, readLoopDelays, type LoopDelays } from './watch/event-loop.js'

const projectDir = path.resolve(import.meta.dirname, '..')

/** The real service in a process of its own, its database, and a folder for what the peers write. */
export interface Stage {
  service: Service
  /** An OWNER's token of the stage's organization. */
  token: string
  /** The same of any organization. */
  tokenOf(organizationId: string): string
  /** The organization's upload folder. */
  folder: string
  connection: Connection
  /** What the peers' commands are given: how to reach the database, and the programs that fit it. */
  environment: Record<string, string>
  withSql<Result>(use: (sql: Sql) => Promise<Result>): Promise<Result>
  /** For the stage's organization, unless another is named. */
  create(type: BackupType, organizationId?: string): Promise<Backup>
  restore(backupId: string, options?: { rollbackOnFailure?: boolean }): Promise<RestoreReport>
  /** Of the service's event loop, since the last call. */
  loopDelays(): Promise<LoopDelays>
  archiveOf(backupId: string): string
  /** A new empty folder, gone at the end. */
  scratchFolder(): Promise<string>
  /** A new empty database beside the service's. */
  scratchDatabase(): Promise<Connection>
}

/** Starts the service, hands it to `use`, and removes it with all that was written, whatever happens. */
export async function onStage(
  { organizationId, environment = {} }: { organizationId: string; environment?: Record<string, string> },
  use: (stage: Stage) => Promise<void>
): Promise<void> {
  const jwtSecret = randomBytes(32).toString('hex')
  await runProgram(process.execPath, ['scripts/compile.mjs', 'dist', 'src', 'plugins', 'routes'], { cwd: projectDir })
  const scratch = await mkdtemp(path.join(tmpdir(), 'dumbassets-backup-bench-'))
  const probe = path.join(scratch, 'loop.sock')
  let service: Service | undefined
  try {
    service = await startService({
      jwtSecret,
      compiled: true,
      environment: { LOG_LEVEL: 'warn', DATABASE_SCOPE: 'instance', ...probeEnvironment(probe), ...environment }
    })
    await use(await setUp({ service, scratch, probe, organizationId, jwtSecret }))
  } finally {
    await service?.remove()
    await rm(scratch, { recursive: true, force: true })
  }
}

async function setUp({
  service,
  scratch,
  probe,
  organizationId,
  jwtSecret
}: {
  service: Service
  scratch: string
  probe: string
  organizationId: string
  jwtSecret: string
}): Promise<Stage> {
  const { host, port, user, password, database } = (await readCredentials(service.databaseDir))!
  const connection: Connection = { host, port, user, password, database, parameters: {} }
  const { pgDump, psql } = await findPostgresTools({ serverMajor: 0 })
  const tokenOf = (organizationId: string) =>
    signToken(jwtSecret, { type: 'access', sub: 'bench', organizationId, role: 'OWNER' })
  const token = tokenOf(organizationId)
  const client = createClient(service.baseUrl, token)
  const stage: Stage = {
    service,
    token,
    tokenOf,
    folder: path.join(service.uploadDir, organizationId),
    connection,
    environment: { ...toEnvironment(connection), PG_DUMP: pgDump, PSQL: psql },
    withSql: async use => await withSql(connection, {}, use),
    async create(type, owner = organizationId) {
      const { data, error } = await (
        owner === organizationId ? client : createClient(service.baseUrl, tokenOf(owner))
      ).POST('/api/backup/create', { body: { type } })
      if (data === undefined || !('size' in data))
        throw new Error(`${JSON.stringify(error)}\n${await service.logTail()}`)
      return data
    },
    async restore(backupId, options = {}) {
      const { data, error } = await client.POST('/api/backup/restore/{backupId}', {
        params: { path: { backupId } },
        body: options
      })
      if (data === undefined || !('report' in data))
        throw new Error(`${JSON.stringify(error)}\n${await service.logTail()}`)
      return data.report
    },
    loopDelays: async () => await readLoopDelays(probe),
    archiveOf: backupId => path.join(service.backupDir, organizationId, `backup-${backupId}.zip`),
    async scratchFolder() {
      const folder = path.join(scratch, randomBytes(4).toString('hex'))
      await mkdir(folder)
      return folder
    },
    async scratchDatabase() {
      const name = `bench_${randomBytes(4).toString('hex')}`
      await stage.withSql(async sql => await sql.unsafe(`CREATE DATABASE ${quoteIdentifier(name)} TEMPLATE template0`))
      return { ...connection, database: name }
    }
  }
  return stage
}

/** HS256 (RFC 7515, appendix A.1). */
function signToken(secret: string, claims: object): string {
  const input = [{ alg: 'HS256', typ: 'JWT' }, claims]
    .map(part => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
}
