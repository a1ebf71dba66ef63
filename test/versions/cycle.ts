import { readFile } from 'node:fs/promises'
import { gunzipSync } from 'node:zlib'
import type { Sql } from 'postgres'
import { openArchive } from '../../src/archive/reader.js'
import { toEnvironment, withSql, type Connection } from '../../src/database/connection/connection.js'
import { quoteIdentifier } from '../../src/database/identifiers.js'
import { runProgram } from '../../src/io/process.js'
import type { Backup } from '../../src/repository/record.js'
import type { RestoreResult } from '../../src/restore/report.js'
import { checksumDatabase } from '../../sample/checksums.js'
import { buildTestApp, type TestApp } from '../support/app.js'
import { contentOf } from '../support/archive.js'
import { superuser, type ClusterFiles } from '../support/cluster.js'
import { createTestDatabase, type TestDatabase } from '../support/postgres.js'
import { projectFile } from '../support/project.js'
import type { Programs } from './platforms.js'

export const scopes = ['swap', 'in-place', 'merge'] as const
export type Scope = (typeof scopes)[number]

interface Teardown {
  teardown(fn: () => Promise<void>): unknown
}

export interface Service extends TestApp {
  database: TestDatabase
  client: Programs
}

/** A service with that client on a database of that server, which has everything that the server's version knows. */
export async function openService(
  t: Teardown,
  cluster: ClusterFiles,
  server: Programs,
  client: Programs,
  scope: Scope,
  isEmpty = false
): Promise<Service> {
  const database = await createTestDatabase(t, {
    cluster,
    createdb: scope !== 'in-place',
    createrole: scope !== 'in-place'
  })
  if (!isEmpty) {
    for (const major of [14, 15, 16, 17, 18].filter(major => major <= server.major)) {
      await database.sql.unsafe(await readFile(projectFile(`test/fixtures/versions/${major}.sql`), 'utf8'))
    }
    if (scope === 'merge') await database.sql`INSERT INTO organizations VALUES ('other', 'Other')`
    // Neither has an owner, so a restore in place refuses the one and can't replace the other.
    if (scope !== 'in-place')
      await database.sql.unsafe(
        "SELECT lo_from_bytea(4242, 'large'); CREATE CAST (pair AS text) WITH INOUT AS ASSIGNMENT"
      )
  }
  if (!isEmpty) await database.sql.unsafe(hostileSettings(server.major, quoteIdentifier(database.name)))
  const service = await buildTestApp(t, {
    databaseUrl: database.url,
    env: { PG_BIN_DIR: client.binDir, RATE_LIMIT: '10000' }
  })
  return { ...service, database, client }
}

/** What the server's version lets database and role set to end or bend the work; sessions that begin later have it. */
function hostileSettings(major: number, name: string): string {
  return [
    `ALTER ROLE ${name} SET restrict_nonsystem_relation_kind = 'view, foreign-table'`,
    ...(major < 16
      ? []
      : [
          `ALTER ROLE ${name} SET icu_validation_level = 'error'`,
          `ALTER ROLE ${name} SET createrole_self_grant = 'set'`
        ]),
    ...(major < 17
      ? []
      : [`ALTER ROLE ${name} SET transaction_timeout = '1s'`, `ALTER DATABASE ${name} SET transaction_timeout = '1s'`])
  ].join(';\n')
}

export async function post<Answer>(service: Service, path: string, body: object, expected = 200): Promise<Answer> {
  const response = await service.app.inject({
    method: 'POST',
    url: `/api/backup/${path}`,
    headers: service.as('OWNER', 'acme'),
    payload: body
  })
  if (response.statusCode !== expected)
    throw new Error(`POST ${path} answered ${response.statusCode} ${response.body.slice(0, 500)}`)
  return response.json<Answer>()
}

/** The documented cycle: create, load by hand, damage, dry run, restore, undo. @throws Error that says what differs */
export async function runCycle(
  t: Teardown,
  cluster: ClusterFiles,
  server: Programs,
  client: Programs,
  scope: Scope
): Promise<void> {
  const service = await openService(t, cluster, server, client, scope)
  const { sql } = service.database
  if (server.major >= 18 && scope === 'merge') await refusesPeriods(service)
  const before = await stateOf(service)
  const backup = await post<Backup>(service, 'create', { type: 'database' }, 201)
  if (backup.warnings.some(warning => /can't be (loaded|restored)/.test(warning)))
    throw new Error(`The backup warns: ${backup.warnings.join(' ')}`)
  await loadByHand(cluster, service, backup)
  await damage(sql)
  if (server.major >= 18) await damageNewest(sql)
  const damaged = await stateOf(service)
  const { report } = await post<RestoreResult>(service, `restore/${backup.id}`, { dryRun: true })
  if (report.database?.mode !== scope) throw new Error(`The dry run says ${report.database?.mode}`)
  same('the dry run', await stateOf(service), damaged)
  const { restoreId } = await post<RestoreResult>(service, `restore/${backup.id}`, {})
  same('the restore', await stateOf(service), restoredTo(before, scope))
  await post(service, `restores/${restoreId}/undo`, {})
  same('the undo', await stateOf(service), damaged)
}

/** A backup made on one server is uploaded to a service on another, restored and undone. */
export async function runUpgrade(
  t: Teardown,
  from: { cluster: ClusterFiles; server: Programs; client: Programs },
  to: { cluster: ClusterFiles; server: Programs; client: Programs },
  scope: Scope
): Promise<void> {
  const old = await openService(t, from.cluster, from.server, from.client, scope)
  const backup = await post<Backup>(old, 'create', { type: 'database' }, 201)
  const before = await rowsOf(old.database.sql)
  const next = await openService(t, to.cluster, from.server, to.client, scope)
  await damage(next.database.sql)
  const damaged = await rowsOf(next.database.sql)
  const opened = (await old.core.repository.openArchive('acme', backup.id))!
  try {
    const payload = Buffer.alloc(opened.size)
    await opened.handle.read(payload, 0, opened.size, 0)
    const uploaded = await next.app.inject({
      method: 'POST',
      url: '/api/backup/upload',
      headers: { ...next.as('OWNER', 'acme'), 'content-type': 'application/zip' },
      payload
    })
    if (uploaded.statusCode !== 201)
      throw new Error(`The upload answered ${uploaded.statusCode} ${uploaded.body.slice(0, 300)}`)
    const { restoreId } = await post<RestoreResult>(next, `restore/${uploaded.json<Backup>().id}`, {})
    same('the restore', await rowsOf(next.database.sql), restoredTo(before, scope))
    await post(next, `restores/${restoreId}/undo`, {})
    same('the undo', await rowsOf(next.database.sql), damaged)
  } finally {
    await opened.handle.close()
  }
}

/** The sequences of a shared database only go forward. */
function restoredTo(state: Record<string, unknown>, scope: Scope): object {
  const { sequences: _, ...rest } = state
  return scope === 'merge' ? rest : state
}

async function damage(sql: Sql): Promise<void> {
  await sql.unsafe(`DELETE FROM items WHERE org = 'acme' AND id % 2 = 0; UPDATE events SET note = 'oops' WHERE org = 'acme';
    INSERT INTO items (org, name) VALUES ('acme', 'must go')`)
}

async function damageNewest(sql: Sql): Promise<void> {
  await sql.unsafe(`UPDATE prices SET net = 7 WHERE id = 1; DELETE FROM prices WHERE id = 2; INSERT INTO prices VALUES (3, 'acme', 3);
    DELETE FROM halves WHERE id = 2; UPDATE halves SET n = -1 WHERE id = 1; INSERT INTO halves VALUES (5, 'acme', 555, -5)`)
}

/** From PostgreSQL 18 on; the tables with such keys go then, and the cycle does without. */
async function refusesPeriods(service: Service): Promise<void> {
  const refused = await post<{ code: string; errors?: unknown; message: string }>(
    service,
    'create',
    { type: 'database' },
    409
  ).catch(async (error: unknown) => {
    if (!(error as Error).message.includes('TENANCY_UNSUPPORTED')) throw error
    return { code: 'TENANCY_UNSUPPORTED', message: (error as Error).message }
  })
  if (refused.code !== 'TENANCY_UNSUPPORTED' || !JSON.stringify(refused).includes('bookings'))
    throw new Error(`Keys that compare periods are answered with ${JSON.stringify(refused)}`)
  await service.database.sql.unsafe('DROP TABLE stays, bookings')
}

async function loadByHand(cluster: ClusterFiles, { core, client, database }: Service, backup: Backup): Promise<void> {
  const opened = (await core.repository.openArchive(backup.organizationId, backup.id))!
  try {
    const archive = await openArchive(opened.handle, opened.size, backup.organizationId)
    const input = gunzipSync(await contentOf(archive, archive.database!)).toString('utf8')
    const empty = `${database.name}_by_hand`
    // The owner's rights without the owner's settings, which are not those of a person who loads a dump.
    const owner = { ...superuser(cluster), database: empty, parameters: { options: `-c role=${database.user}` } }
    await withSql(
      superuser(cluster),
      {},
      async sql => await sql.unsafe(`CREATE DATABASE ${quoteIdentifier(empty)} OWNER ${quoteIdentifier(database.user)}`)
    )
    await runProgram(
      `${client.binDir}/psql`,
      ['--no-psqlrc', '--quiet', '--set=ON_ERROR_STOP=1', '--output=/dev/null', '--file=-'],
      { env: toEnvironment(owner), input }
    )
  } finally {
    await opened.handle.close()
  }
}

/** Rows, definitions, and the schema as pg_dump tells it. */
async function stateOf({ database, client }: Service): Promise<Record<string, unknown>> {
  return { ...(await checksumDatabase(database.sql)), schema: await schemaOf(client, database.connection) }
}

async function schemaOf(client: Programs, connection: Connection): Promise<string> {
  const text = await runProgram(
    `${client.binDir}/pg_dump`,
    ['--schema-only', '--no-owner', '--exclude-schema=dumbassets_backup'],
    { env: toEnvironment(connection) }
  )
  // The key of \restrict, and a mark of the server's own, differ each time.
  return text
    .replaceAll(/^\\(un)?restrict .*\n/gm, '')
    .replaceAll(/^ALTER TABLE .* SET \(pg_attver=\d+\);\n/gm, '')
    .replaceAll(/\(pg_attver=\d+, /g, '(')
}

async function rowsOf(sql: Sql): Promise<Record<string, unknown>> {
  const { definitions: _, ...rows } = await checksumDatabase(sql)
  return rows
}

function same(what: string, found: object, expected: object): void {
  const differing = Object.entries(expected).filter(
    ([name, value]) => JSON.stringify(value) !== JSON.stringify((found as Record<string, unknown>)[name])
  )
  if (differing.length === 0) return
  const [name, value] = differing[0]!
  const [a, b] = [value, (found as Record<string, unknown>)[name]].map(text =>
    typeof text === 'string' ? text.split('\n') : [JSON.stringify(text)]
  )
  throw new Error(
    `After ${what} ${differing.map(([name]) => name).join(', ')} differ: ${a!
      .filter(line => !b!.includes(line))
      .slice(0, 5)
      .join(' | ')} became ${b!
      .filter(line => !a!.includes(line))
      .slice(0, 5)
      .join(' | ')}`
  )
}
