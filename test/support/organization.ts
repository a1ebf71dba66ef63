import { readFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import type postgres from 'postgres'
import { type Connection } from '../../src/database/connection/connection.js'
import { loadDump } from '../../src/database/load/load-dump.js'
import { openOrganizationDump, type OrganizationContents } from '../../src/database/organization/dump.js'
import type { TableChange } from '../../src/database/organization/diff.js'
import { openMerge, type OrganizationMerge } from '../../src/database/organization/merge.js'
import { findPostgresTools } from '../../src/database/postgres-tools.js'
import { openSnapshot } from '../../src/database/snapshot.js'
import type { Tenancy } from '../../src/database/tenancy/tenancy-file.js'
import { readTenantGraph } from '../../src/database/tenancy/tenant-graph.js'
import { isTenant } from '../../src/database/tenancy/tenant-table.js'
import { quoteColumns, quoteLiteral } from '../../src/database/identifiers.js'
import { ownedRows, storedColumns } from '../../src/database/tenancy/tenant-rows.js'
import { createTestDatabase, type TestDatabase } from './postgres.js'
import { projectFile } from './project.js'

export const tenantTable = 'organizations'
export const tools = await findPostgresTools({ binDir: process.env.PG_BIN_DIR ?? null, serverMajor: 15 })

export interface Archived {
  script: Buffer
  dump: OrganizationContents
}

export async function loadFixture(sql: postgres.Sql): Promise<void> {
  await sql.unsafe(await readFile(projectFile('test/fixtures/tenancy/schema.sql'), 'utf8'))
}

/** A database of the test's own with the fixture in it. */
export async function openFixture(
  t: Parameters<typeof createTestDatabase>[0]
): Promise<{ live: TestDatabase; sql: postgres.Sql }> {
  const live = await createTestDatabase(t)
  await loadFixture(live.sql)
  return { live, sql: live.sql }
}

/** The same with an archive of the organization a, and its rows at that time. */
export async function archiveFixture(
  t: Parameters<typeof createTestDatabase>[0]
): Promise<Awaited<ReturnType<typeof openFixture>> & { before: Record<string, string[]>; archived: Archived }> {
  const fixture = await openFixture(t)
  return { ...fixture, before: await rowsOf(fixture.sql, 'a'), archived: await archive(fixture.live.connection, 'a') }
}

/** What its tables are to an organization; its view and its partitions are no tables of their own. */
export const fixtureClasses = {
  'Audit Log.My "Events"': 'chain',
  'crm.Comments': 'chain',
  'crm.labels': 'partial',
  'crm.projects': 'direct',
  'crm.readings': 'direct',
  'crm.tasks': 'chain',
  'public.countries': 'global',
  'public.imports': 'global',
  'public.organizations': 'root',
  'public.settings': 'global',
  'public.users': 'direct'
}

/** Dumps an organization and keeps the script. */
export async function archive(connection: Connection, organizationId: string, tenancy?: Tenancy): Promise<Archived> {
  const snapshot = await openSnapshot(connection)
  try {
    const signal = new AbortController().signal
    const dump = await openOrganizationDump({
      connection,
      tools,
      snapshot,
      organizationId,
      tenantTable,
      tenancy,
      signal
    })
    const chunks: Buffer[] = []
    for await (const chunk of dump.script) chunks.push(chunk)
    return { script: Buffer.concat(chunks), dump: await dump.describe() }
  } finally {
    await snapshot.close()
  }
}

/** A database of its own that holds what the script makes. */
export async function loadScript(t: Parameters<typeof createTestDatabase>[0], script: Buffer): Promise<TestDatabase> {
  const database = await createTestDatabase(t)
  await loadDump(database.connection, tools, {
    database: database.name,
    loader: null,
    sql: Readable.from([script]),
    hasDefaultPrivileges: false,
    signal: new AbortController().signal
  })
  return database
}

/** Every row that belongs to the organization, as text by table. */
export async function rowsOf(
  sql: postgres.Sql,
  organizationId: string,
  tenancy?: Tenancy
): Promise<Record<string, string[]>> {
  const graph = await readTenantGraph(sql, { tenantTable, tenancy })
  const rows: Record<string, string[]> = {}
  for (const table of graph.tables.filter(isTenant)) {
    const found = await sql.unsafe<Array<{ row: string }>>(
      `SELECT ROW(${quoteColumns(storedColumns(table), 't')})::text AS row ${ownedRows(graph, table, 't', organizationId)} ORDER BY 1`
    )
    rows[table.label] = found.map(({ row }) => row)
  }
  return rows
}

/** Every row of the database as text by table, with its place and its version when asked. */
export async function allRows(sql: postgres.Sql, { versions = false } = {}): Promise<Record<string, string[]>> {
  const graph = await readTenantGraph(sql, { tenantTable })
  const rows: Record<string, string[]> = {}
  for (const table of graph.tables) {
    const version = versions ? "|| ' ' || t.tableoid::regclass || t.ctid || t.xmin" : ''
    const found = await sql.unsafe<Array<{ row: string }>>(
      `SELECT ROW(${quoteColumns(storedColumns(table), 't')})::text ${version} AS row FROM ${table.source} t ORDER BY 1`
    )
    rows[table.label] = found.map(({ row }) => row)
  }
  return rows
}

/** Every row that is not the organization's, with its place and its version. */
export async function otherRows(
  sql: postgres.Sql,
  organizationId: string,
  tenancy?: Tenancy
): Promise<Record<string, string[]>> {
  const graph = await readTenantGraph(sql, { tenantTable, tenancy })
  const rows: Record<string, string[]> = {}
  for (const table of graph.tables) {
    const mine = isTenant(table)
      ? `SELECT t.tableoid, t.ctid ${ownedRows(graph, table, 't', organizationId)}`
      : "SELECT 0::oid, '(0,0)'::tid WHERE false"
    const found = await sql.unsafe<
      Array<{ row: string }>
    >(`SELECT concat_ws(${quoteLiteral(' ')}, t.tableoid::regclass, t.ctid, t.xmin, t.*::text) AS row
      FROM ${table.source} t WHERE (t.tableoid, t.ctid) NOT IN (${mine}) ORDER BY 1`)
    rows[table.label] = found.map(({ row }) => row)
  }
  return rows
}

export interface MergeTestOptions {
  organizationId: string
  dryRun?: boolean
  tenancy?: Tenancy
  signal?: AbortSignal
}

/** Loads the archive into a database of its own and opens the merge into the live one. */
export async function mergeFrom(
  t: Parameters<typeof createTestDatabase>[0],
  live: Connection,
  archived: Archived,
  options: MergeTestOptions
): Promise<OrganizationMerge> {
  const { connection: scratch } = await loadScript(t, archived.script)
  return await mergeLoaded(t, live, scratch, archived, options)
}

/** The same where the archive is loaded already. */
export async function mergeLoaded(
  t: Parameters<typeof createTestDatabase>[0],
  live: Connection,
  scratch: Connection,
  { dump }: Archived,
  { organizationId, dryRun = false, tenancy, signal = new AbortController().signal }: MergeTestOptions
): Promise<OrganizationMerge> {
  const merge = await openMerge({
    connection: live,
    scratch,
    tools,
    organizationId,
    tenantTable,
    tenancy,
    tables: dump.tables,
    dryRun,
    signal
  })
  t.teardown(async () => await merge.rollback())
  return merge
}

/** Restores the organization and returns what was changed, without the tables that were not. */
export async function restore(
  t: Parameters<typeof createTestDatabase>[0],
  live: Connection,
  archived: Archived,
  options: MergeTestOptions
): Promise<TableChange[]> {
  return await finish(await mergeFrom(t, live, archived, options))
}

/** Applies and commits, and returns what was changed, without the tables that were not. */
export async function finish(merge: OrganizationMerge): Promise<TableChange[]> {
  try {
    await merge.apply()
    await merge.commit()
  } finally {
    await merge.rollback()
  }
  return changed(merge)
}

/** The tables that a merge changes. */
export function changed({ changes }: OrganizationMerge): TableChange[] {
  return changes.filter(({ added, changed, removed }) => added + changed + removed > 0)
}
