import type { Sql } from 'postgres'
import type { Text } from '../archive/gzip.js'
import type { DatabaseScope, Metadata } from '../archive/metadata.js'
import type { Core, Settings } from '../core.js'
import { countRows, listExtensions, listRoles, listTables, schemaFingerprint } from '../database/catalog-queries.js'
import { databaseError, withSql, type Connection } from '../database/connection/connection.js'
import { requireDirect } from '../database/connection/direct.js'
import { readDatabaseDetails } from '../database/database-details.js'
import { settingWarnings } from '../database/database-settings.js'
import { dumpInstance, dumpInstanceSchema, needsRoots } from '../database/instance-dump.js'
import { openOrganizationDump, type OrganizationDump } from '../database/organization/dump.js'
import { findPostgresTools, type PostgresTools } from '../database/postgres-tools.js'
import { countOrganizations, organizationNotFound, refuseWithOthers } from '../database/tenancy/scope.js'
import { requireReadable } from '../database/readable.js'
import { readLoadPath, type LoadPath } from '../database/search-path.js'
import { superuserFindings, type Finding } from '../database/superuser-objects.js'
import { openSnapshot, type Snapshot } from '../database/snapshot.js'
import { readValueSettings } from '../database/value-settings.js'
import { readTenancyFile } from '../database/tenancy/tenancy-file.js'
import { proofWarnings, proveSchema, type Proof, type Provable } from './schema-proof.js'

/** What the metadata says of the database in the archive. */
export type DatabasePart = Pick<
  Metadata,
  | 'databaseScope'
  | 'postgresVersion'
  | 'pgDumpVersion'
  | 'roles'
  | 'extensions'
  | 'schemaFingerprint'
  | 'schemaProof'
  | 'database'
  | 'tables'
> & { warnings: string[] }

/** The database at one moment, ready to be dumped. */
export interface DatabaseSource {
  /** Of the server. */
  serverMajor: number
  /** Plain SQL, to be read once. It throws AppError DUMP_FAILED after the last byte when the dump is not complete. */
  dump(signal: AbortSignal): Promise<Text>
  /** May run beside the dump. */
  describe(signal: AbortSignal): Promise<DatabasePart>
  close(): Promise<void>
}

interface DatabaseRequest {
  organizationId: string
  /**
   * Of a restore, which may be what brings the organization's own row: a checkpoint has its scope, and needs no such
   * row.
   */
  checkpointScope: DatabaseScope | null
}

/**
 * Opens the database's snapshot in the scope that is due: the whole of it, or one organization's rows where there is
 * any other organization. A checkpoint has the scope of its restore.
 * @throws AppError DATABASE_UNAVAILABLE, DATABASE_TOOLS_MISSING, DATABASE_BUSY, TENANCY_UNSUPPORTED, TENANCY_VIOLATION,
 * ORGANIZATION_NOT_FOUND, OTHER_ORGANIZATIONS_AFFECTED, PREFLIGHT_FAILED, and the reason of the signal
 */
export async function openDatabaseSource(
  core: Core,
  request: DatabaseRequest,
  signal: AbortSignal
): Promise<DatabaseSource> {
  const { database, settings } = core
  const connection = database.connection()
  await requireDirect(connection)
  const server = await readServer(connection)
  const tools = await findPostgresTools({ binDir: settings.pgBinDir, serverMajor: server.major })
  const snapshot = await openSnapshot(connection, signal)
  try {
    const { scope, loadPath } = await described(async () => ({
      scope: await chooseScope(snapshot.sql, settings, request),
      loadPath: await readLoadPath(snapshot.sql)
    }))
    const opened = { connection, tools, snapshot, server, loadPath }
    if (scope === 'instance')
      await described(async () => {
        await requireReadable(snapshot.sql)
      })
    return scope === 'organization'
      ? await openOrganization(core, opened, request, signal)
      : openInstance(core, opened, request, await described(async () => await needsRoots(snapshot.sql)))
  } catch (error) {
    await snapshot.close()
    throw error
  }
}

/** Asked in the snapshot: one who comes later must not get into an archive of the whole. */
async function chooseScope(
  sql: Sql,
  { databaseScope, tenantTable }: Settings,
  { organizationId, checkpointScope }: DatabaseRequest
): Promise<DatabaseScope> {
  if (checkpointScope === 'organization') return 'organization'
  if (databaseScope === 'instance') return 'instance'
  if (databaseScope === 'organization' && checkpointScope === null) return 'organization'
  const found = await countOrganizations(sql, tenantTable, organizationId)
  if (checkpointScope === 'instance') {
    refuseWithOthers(found, 'this backup would hold the rows of all of them')
    return 'instance'
  }
  if (found.tenantTable !== null && found.all === 0) throw organizationNotFound(found.tenantTable)
  return found.others > 0 ? 'organization' : 'instance'
}

interface Opened {
  connection: Connection
  tools: PostgresTools
  snapshot: Snapshot
  server: Server
  loadPath: LoadPath
}

function openInstance(
  core: Core,
  { connection, tools, snapshot, server, loadPath }: Opened,
  { organizationId }: DatabaseRequest,
  viaRoots: boolean
): DatabaseSource {
  const { sql } = snapshot
  const { version } = server
  const options = { snapshot, loadPath: loadPath.path, viaRoots }
  const proof = startProof(core, {
    organizationId,
    scope: 'instance',
    connection,
    tools,
    ...server,
    schema: async signal => await dumpInstanceSchema(connection, tools, options, signal)
  })
  return {
    serverMajor: tools.serverMajor,
    async dump(signal) {
      proof.begin(signal)
      return await dumpInstance(connection, tools, options, signal)
    },
    describe: async signal =>
      await described(async () => ({
        databaseScope: 'instance',
        postgresVersion: version,
        pgDumpVersion: tools.version,
        roles: await listRoles(sql),
        extensions: await listExtensions(sql),
        schemaFingerprint: await schemaFingerprint(sql),
        database: {
          ...(await readDatabaseDetails(sql)),
          valueSettings: await readValueSettings(connection),
          searchPath: loadPath.path
        },
        tables: await countRows(sql, await listTables(sql), signal),
        ...(await proof.describe(loadPath, await superuserFindings(sql, 'instance'), await settingWarnings(sql)))
      })),
    async close() {
      await proof.end()
      await snapshot.close()
    }
  }
}

async function openOrganization(
  core: Core,
  { connection, tools, snapshot, server, loadPath }: Opened,
  { organizationId, checkpointScope }: DatabaseRequest,
  signal: AbortSignal
): Promise<DatabaseSource> {
  const { sql } = snapshot
  const { settings } = core
  const { version } = server
  const tenancy = await readTenancyFile(settings.tenancyFile)
  const dump = await openOrganizationDump({
    connection,
    tools,
    snapshot,
    organizationId,
    isCheckpoint: checkpointScope !== null,
    tenantTable: settings.tenantTable,
    tenancy,
    loadPath: loadPath.path,
    signal
  })
  const proof = startProof(core, {
    organizationId,
    scope: 'organization',
    connection,
    tools,
    ...server,
    schema: async () => dump.schema
  })
  return {
    serverMajor: tools.serverMajor,
    async dump(signal) {
      proof.begin(signal)
      return dump.script
    },
    describe: async () =>
      await described(async () => ({
        databaseScope: 'organization',
        postgresVersion: version,
        pgDumpVersion: tools.version,
        roles: await listRoles(sql),
        extensions: await listExtensions(sql),
        schemaFingerprint: await schemaFingerprint(sql),
        // The database's settings, privileges and size are the operator's and those of all organizations, not this
        // organization's.
        database: {
          ...(await readDatabaseDetails(sql)),
          settings: [],
          valueSettings: [],
          privileges: null,
          owners: [],
          comment: null,
          connectionLimit: -1,
          largeObjects: 0,
          sizeBytes: 0,
          searchPath: loadPath.path
        },
        ...(await describeRows(
          dump,
          async () => await proof.describe(loadPath, await superuserFindings(sql, 'organization'))
        ))
      })),
    async close() {
      await dump.script.return(undefined)
      dump.close()
      await proof.end()
      await snapshot.close()
    }
  }
}

type Told = Pick<DatabasePart, 'schemaProof' | 'warnings'>

async function describeRows(
  dump: OrganizationDump,
  prove: () => Promise<Told>
): Promise<Told & Pick<DatabasePart, 'tables'>> {
  const { tables, warnings } = await dump.describe()
  const told = await prove()
  return { tables, ...told, warnings: [...warnings, ...told.warnings] }
}

/** The schema's proof, beside the dump. */
function startProof(
  core: Core,
  request: Omit<Provable, 'schema'> & { schema: (signal: AbortSignal) => Promise<Buffer> }
): {
  begin(signal: AbortSignal): void
  describe(loadPath: LoadPath, findings: Finding[], further?: string[]): Promise<Told>
  end(): Promise<void>
} {
  const stop = new AbortController()
  let proving: Promise<Proof> | null = null
  return {
    begin(signal) {
      const either = AbortSignal.any([signal, stop.signal])
      proving = proveSchema(core, { ...request, schema: async () => await request.schema(either) }, either)
      // Awaited below.
      proving.catch(() => {})
    },
    async describe(loadPath, findings, further = []) {
      const proof = await (proving as Promise<Proof>)
      return {
        schemaProof: proof.proof,
        warnings: [
          ...loadPath.warnings,
          ...findings.map(({ text }) => text),
          ...proofWarnings(proof, findings),
          ...further
        ]
      }
    },
    async end() {
      stop.abort()
      await proving?.catch(() => {})
    }
  }
}

async function described<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    throw databaseError(error)
  }
}

type Server = Pick<Provable, 'version' | 'mayCreateDatabase' | 'mayCreateRole'> & { major: number }

async function readServer(connection: Connection): Promise<Server> {
  try {
    return await withSql(connection, {}, async sql => {
      const [row] = await sql<[{ version: string; number: string; createdb: boolean; createrole: boolean }]>`
        SELECT current_setting('server_version') AS version, current_setting('server_version_num') AS number,
          rolsuper OR rolcreatedb AS createdb, rolsuper OR rolcreaterole AS createrole
        FROM pg_catalog.pg_roles WHERE rolname = current_user`
      return {
        version: row.version,
        major: Math.trunc(Number(row.number) / 10000),
        mayCreateDatabase: row.createdb,
        mayCreateRole: row.createrole
      }
    })
  } catch (error) {
    throw databaseError(error)
  }
}
