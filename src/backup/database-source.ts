import type { Metadata } from '../archive/metadata.js'
import type { Core } from '../core.js'
import { countRows, listExtensions, listRoles, listTables, schemaFingerprint } from '../database/catalog-queries.js'
import { databaseError, withSql } from '../database/connection.js'
import { readDatabaseDetails } from '../database/database-details.js'
import { dumpInstance } from '../database/instance-dump.js'
import { findPostgresTools, type PostgresTools } from '../database/postgres-tools.js'
import { countOrganizations } from '../database/scope.js'
import { openSnapshot } from '../database/snapshot.js'
import { AppError } from '../errors.js'

/** What the metadata says of the database in the archive. */
export type DatabasePart = Pick<Metadata, 'databaseScope' | 'postgresVersion' | 'pgDumpVersion' | 'roles' | 'extensions' |
'schemaFingerprint' | 'database' | 'tables'> & { warnings: string[] }

/** The database at one moment, ready to be dumped. */
export interface DatabaseSource {
  /** Plain SQL. @throws AppError DUMP_FAILED after the last byte when the dump is not complete */
  dump (signal: AbortSignal): AsyncIterable<Buffer>
  /** May run beside the dump. */
  describe (signal: AbortSignal): Promise<DatabasePart>
  close (): Promise<void>
}

/**
 * Opens the database's snapshot in the scope that is due: the whole of it, or one organization's rows.
 * @throws AppError DATABASE_UNAVAILABLE, DATABASE_TOOLS_MISSING, DATABASE_BUSY, OTHER_ORGANIZATIONS_AFFECTED
 */
export async function openDatabaseSource (core: Core): Promise<DatabaseSource> {
  const { database, settings } = core
  const connection = database.connection()
  const server = await withSql(connection, {}, async sql => ({
    ...(await readServerVersion(sql)),
    organizations: settings.databaseScope === 'instance' ? 1 : await countOrganizations(sql, settings.tenantTable)
  })).catch((error: unknown) => { throw databaseError(error) })
  const tools = await findPostgresTools({ binDir: settings.pgBinDir, serverMajor: server.major })
  if (settings.databaseScope === 'organization' || server.organizations > 1) {
    throw new AppError('OTHER_ORGANIZATIONS_AFFECTED', `The database holds ${server.organizations} organizations, and a backup of the whole of it would show each the others' rows.`)
  }
  return await openInstance(core, tools, server.version)
}

async function openInstance ({ database }: Core, tools: PostgresTools, postgresVersion: string): Promise<DatabaseSource> {
  const connection = database.connection()
  const snapshot = await openSnapshot(connection)
  return {
    dump: signal => dumpInstance(connection, tools, snapshot.id, signal),
    async describe (signal) {
      const { sql } = snapshot
      try {
        return {
          databaseScope: 'instance',
          postgresVersion,
          pgDumpVersion: tools.version,
          roles: await listRoles(sql),
          extensions: (await listExtensions(sql)).map(({ name, version }) => ({ name, version })),
          schemaFingerprint: await schemaFingerprint(sql),
          database: await readDatabaseDetails(sql),
          tables: await countRows(sql, await listTables(sql), signal),
          warnings: []
        }
      } catch (error) {
        throw databaseError(error)
      }
    },
    close: snapshot.close
  }
}

async function readServerVersion (sql: Parameters<Parameters<typeof withSql>[2]>[0]): Promise<{ version: string, major: number }> {
  const [row] = await sql<[{ version: string, number: string }]>`
    SELECT current_setting('server_version') AS version, current_setting('server_version_num') AS number`
  return { version: row.version, major: Math.trunc(Number(row.number) / 10000) }
}
