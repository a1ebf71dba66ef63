import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import type { Test } from 'tap'
import { checksumFolder } from '../../sample/checksums.js'
import { writeSampleFiles } from '../../sample/files.js'
import { loadSampleRows } from '../../sample/rows.js'
import { loadSampleSchema } from '../../sample/schema.js'
import { openArchive } from '../../src/archive/reader.js'
import type { Backup } from '../../src/repository/record.js'
import type { RestoreResult, RestoreSummary } from '../../src/restore/report.js'
import { buildTestApp, type TestApp } from './app.js'
import { contentOf } from './archive.js'
import { rowsOf } from './organization.js'
import { createTestDatabase, type TestDatabase, type TestDatabaseOptions } from './postgres.js'

export const organizations = ['acme', 'globex', 'initech'] as const

/** A service whose database some organizations share, and what their owners ask of it. */
export interface Tenants extends TestApp {
  database: TestDatabase
  /** Answers what the API answered. @throws Error unless the status is the expected one */
  post: <Answer = unknown>(path: string, body?: object, expected?: number, organizationId?: string) => Promise<Answer>
  create: (type?: string, organizationId?: string) => Promise<Backup>
  restore: (backupId: string, body?: object, organizationId?: string) => Promise<RestoreResult>
  restores: () => Promise<RestoreSummary[]>
  list: () => Promise<Backup[]>
  /** Every row and file of the organization. */
  state: (organizationId?: string) => Promise<{ rows: Record<string, string[]>; files: object }>
}

export interface TenantsOptions {
  env?: NodeJS.ProcessEnv
  database?: TestDatabaseOptions
  /** Organizations to fill; none leaves the database empty. */
  ids?: readonly string[]
}

export async function setUpTenants(t: Test, options: TenantsOptions = {}): Promise<Tenants> {
  const { env = {}, ids = organizations } = options
  const database = await createTestDatabase(t, options.database)
  const service = await buildTestApp(t, { databaseUrl: database.url, env })
  if (ids.length > 0) {
    await loadSampleSchema(database.sql)
    await loadSampleRows(database.sql, { organizations: ids, assetsPerOrganization: 8, seed: 3 })
    for (const [seed, id] of ids.entries()) await writeSampleFiles(service.uploadDir, id, { files: 12, seed })
  }
  const post: Tenants['post'] = async (path, body, expected = 200, organizationId = 'acme') => {
    const response = await service.app.inject({
      method: 'POST',
      url: `/api/backup/${path}`,
      headers: service.as('OWNER', organizationId),
      payload: body
    })
    if (response.statusCode !== expected)
      throw new Error(`POST ${path} answered ${response.statusCode} ${response.body}`)
    return response.json()
  }
  const get = async <Answer>(path: string): Promise<Answer> =>
    (await service.app.inject({ url: `/api/backup/${path}`, headers: service.as() })).json<Answer>()
  return {
    ...service,
    database,
    post,
    create: async (type = 'full', organizationId) => await post('create', { type }, 201, organizationId),
    restore: async (backupId, body = {}, organizationId) =>
      await post(`restore/${backupId}`, body, 200, organizationId),
    restores: async () => await get('restores'),
    list: async () => await get('list'),
    state: async (organizationId = 'acme') => ({
      rows: await rowsOf(database.sql, organizationId),
      files: await checksumFolder(join(service.uploadDir, organizationId))
    })
  }
}

/** Rows and files of the organization deleted, changed and added. */
export async function haveBadDay({ database: { sql }, uploadDir }: Tenants, id = 'acme'): Promise<void> {
  await sql`DELETE FROM assets WHERE "organizationId" = ${id} AND number % 3 = 0`
  await sql`UPDATE users SET "fullName" = 'oops' WHERE "organizationId" = ${id}`
  await sql`INSERT INTO tags VALUES (${`${id}-new`}, ${id}, 'a tag that must go')`
  await rm(join(uploadDir, id, 'logo.png'))
  await writeFile(join(uploadDir, id, 'empty.txt'), 'not empty any more')
  await mkdir(join(uploadDir, id, 'ransom'))
  await writeFile(join(uploadDir, id, 'ransom', 'note.txt'), 'All your assets are belong to us')
}

/** The SQL in the archive, and its metadata. */
export async function readArchived(
  { core }: Tenants,
  backup: Backup
): Promise<{ sql: string; metadata: object; names: string[] }> {
  const opened = await core.repository.openArchive(backup.organizationId, backup.id)
  if (opened === null) throw new Error('There is no such archive.')
  try {
    const archive = await openArchive(opened.handle, opened.size, backup.organizationId)
    const sql = archive.database === null ? '' : gunzipSync(await contentOf(archive, archive.database)).toString()
    return { sql, metadata: archive.metadata, names: archive.files.map(({ name }) => name) }
  } finally {
    await opened.handle.close()
  }
}

/** Databases and roles that a restore makes for itself, and its own schema: nothing of it may stay. */
export async function leftOvers({ sql, name }: TestDatabase): Promise<string[]> {
  const found = await sql<Array<{ name: string }>>`
    SELECT datname::text AS name FROM pg_database WHERE datdba IN (SELECT oid FROM pg_roles WHERE rolname = ${name}) AND datname <> ${name}
    UNION ALL SELECT r.rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid JOIN pg_roles u ON u.oid = m.member WHERE u.rolname = ${name}
    UNION ALL SELECT nspname FROM pg_namespace WHERE nspname = 'dumbassets_backup'`
  return found.map(({ name }) => name)
}
