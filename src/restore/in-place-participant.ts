import type { Sql } from 'postgres'
import type { Metadata } from '../archive/metadata.js'
import { countRows, listTables } from '../database/catalog-queries.js'
import { databaseError, trustedPath, withSql, type Connection } from '../database/connection/connection.js'
import { labelOf, quoteTable, type QualifiedName } from '../database/identifiers.js'
import { limitsFor, withinLimits } from '../database/load/load-limits.js'
import { loadInPlace, tableDigest, type InPlaceLoad, type InPlaceRequest } from '../database/load/load-in-place.js'
import { removeMarker } from '../database/load/marker.js'
import { planPublicSchema } from '../database/load/public-schema.js'
import { planCensus } from '../database/tenancy/scope.js'
import { defaultPrivilegeStatements, type DatabaseDetails } from '../database/database-details.js'
import { codeOf, diffCode } from './code-diff.js'
import type { DatabaseInput } from './database-participant.js'
import type { BesideInput } from './load-beside.js'
import { readDump } from './read-dump.js'
import { endInsideLive } from './inside-live.js'
import { settingsToLoad } from './load-settings.js'
import type { Participant } from './participant.js'
import type { CodeChange, TableReport } from './report.js'

export interface InPlaceInput extends Omit<DatabaseInput, 'owner'> {
  dryRun: boolean
  tenantTable: string
  /** The operator has said that the database is restored whatever organizations are in it. */
  replacesOthers: boolean
}

/**
 * Replaces the whole database inside itself, in one transaction that is held open until the commit: for a user who may
 * not create databases. Readers wait meanwhile. A marker row of the same transaction tells after a crash how it ended;
 * this participant commits last, since what it has committed can't be taken back.
 * @param input what to restore; null after a crash, when the transaction is gone with its session
 */
export function createInPlaceParticipant(
  connection: Connection,
  restoreId: string,
  input: InPlaceInput | null
): Participant {
  let load: InPlaceLoad | null = null
  let before = new Map<string, string>()
  let dropped: TableReport[] = []
  let code: CodeChange[] | undefined
  let refused: string[] = []

  return {
    name: 'database',

    async prepare() {},

    async ready(signal) {
      const { archive, dryRun, tenantTable, replacesOthers } = input as InPlaceInput
      const { metadata } = archive
      before = await digestLive(connection, metadata.tables)
      dropped = await listDropped(connection, metadata.tables)
      const codeBefore = dryRun ? await codeOf(connection, connection.database) : null
      const census = replacesOthers
        ? null
        : await withSql(
            connection,
            { searchPath: trustedPath },
            async sql => await planCensus(sql, tenantTable, metadata.organizationId)
          )
      const loaded = await loadArchiveInPlace(
        connection,
        restoreId,
        input as InPlaceInput,
        { census, listCode: dryRun },
        signal
      )
      load = loaded
      refused = loaded.warnings
      if (codeBefore !== null) code = diffCode(codeBefore, load.code)
    },

    async report() {
      const { archive } = input as InPlaceInput
      const { digests } = load as InPlaceLoad
      const tables = archive.metadata.tables.map(({ schema, name, rows }, index): TableReport => {
        const table = labelOf({ schema, name })
        const digest = before.get(table)
        if (digest === undefined)
          return { table, rows, added: rows, note: 'The table is not in the database now and would come back.' }
        if (digest === digests[index]) return { table, rows, added: 0, changed: 0, removed: 0, unchanged: rows }
        return { table, rows, note: `Its rows differ from the ${digest.split(' ')[0]} that are there now.` }
      })
      return {
        database: {
          mode: 'in-place',
          scope: 'instance',
          tables: [...tables, ...dropped],
          ...(code === undefined ? {} : { code }),
          missingRoles: [],
          missingExtensions: []
        },
        warnings: [
          'The database user may not create databases, so the restore works inside the live one: readers wait from its beginning to its end.',
          "The dump is loaded with the database user's own rights: restore only archives that you trust.",
          "The database's own settings, comment and privileges stay as they are.",
          ...refused
        ]
      }
    },

    ...endInsideLive(connection, restoreId, input === null, () => load),

    async discard() {
      await load?.rollback()
    },
    async settle() {
      await removeMarker(connection, restoreId)
    },
    async release() {
      await removeMarker(connection, restoreId)
    }
  }
}

/** The schema public and the default privileges, as the archive has them and the user may set them. */
async function planOwned(
  connection: Connection,
  { database, databaseScope }: Metadata
): Promise<Pick<InPlaceRequest, 'publicSchema' | 'defaultPrivileges'>> {
  const { owner, owners, defaultPrivileges } = database as DatabaseDetails
  const wanted =
    databaseScope === 'instance'
      ? (owners.find(({ type, identity }) => type === 'schema' && identity === 'public')?.owner ?? null)
      : undefined
  const own = defaultPrivileges.filter(({ role }) => role === owner).map(entry => ({ ...entry, role: connection.user }))
  try {
    return {
      publicSchema: await withSql(
        connection,
        { searchPath: trustedPath },
        async sql => await planPublicSchema(sql, wanted)
      ),
      defaultPrivileges:
        own.length === defaultPrivileges.length && owner === connection.user
          ? null
          : defaultPrivilegeStatements(own).flat()
    }
  } catch (error) {
    throw databaseError(error)
  }
}

/**
 * Loads an archive's dump in place of everything, in a transaction that stays open.
 * @throws AppError as loadInPlace does, and LOAD_LIMIT_EXCEEDED
 */
export async function loadArchiveInPlace(
  connection: Connection,
  restoreId: string,
  { archive, dump, tools, onBytes, loadTimeoutMs }: BesideInput,
  { census, listCode }: Pick<InPlaceRequest, 'census' | 'listCode'>,
  signal: AbortSignal
): Promise<InPlaceLoad & { warnings: string[] }> {
  const { metadata, trusted } = archive
  const owned = await planOwned(connection, metadata)
  const limits = limitsFor((metadata.database as DatabaseDetails).sizeBytes, {
    dumpBytes: dump.size,
    trusted,
    timeoutMs: loadTimeoutMs
  })
  const { warnings, ...settings } = await settingsToLoad(connection, archive, connection.database)
  const load = await withinLimits(
    connection,
    connection.database,
    limits,
    signal,
    async signal =>
      await loadInPlace(connection, tools, {
        restoreId,
        sql: () => readDump(archive, dump, onBytes),
        tables: metadata.tables,
        census,
        ...owned,
        listCode,
        settings,
        signal
      })
  )
  return { ...load, warnings }
}

/** Digests of the live rows, before they are locked. A table that is not there or can't be read has none. */
async function digestLive(
  connection: Connection,
  tables: ReadonlyArray<{ schema: string; name: string }>
): Promise<Map<string, string>> {
  const digests = new Map<string, string>()
  try {
    await withSql(connection, {}, async sql => {
      for (const { schema, name } of tables) {
        if (!(await isThere(sql, { schema, name }))) continue
        const [{ query }] = await sql.unsafe<[{ query: string }]>(tableDigest(schema, name))
        const [{ digest }] = await sql.unsafe<[{ digest: string }]>(query)
        digests.set(labelOf({ schema, name }), digest)
      }
    })
  } catch (error) {
    throw databaseError(error)
  }
  return digests
}

/** Tables of the user's own that the dump does not bring back. */
async function listDropped(
  connection: Connection,
  archived: ReadonlyArray<{ schema: string; name: string }>
): Promise<TableReport[]> {
  const kept = new Set(archived.map(labelOf))
  try {
    return await withSql(connection, {}, async sql => {
      const gone = (await listTables(sql, { owned: true })).filter(table => !kept.has(labelOf(table)))
      const reports: TableReport[] = []
      for (const table of gone) reports.push({ table: labelOf(table), rows: 0, ...(await removedRows(sql, table)) })
      return reports
    })
  } catch (error) {
    throw databaseError(error)
  }
}

/** A table that is damaged can go too, but the number of its rows can't be told. */
async function removedRows(sql: Sql, table: QualifiedName): Promise<Omit<TableReport, 'table'>> {
  const note = 'The table is not in the backup and would go.'
  try {
    const [counted] = await countRows(sql, [table])
    return { added: 0, changed: 0, removed: counted?.rows ?? 0, unchanged: 0, note }
  } catch (error) {
    const { code, message } = databaseError(error)
    if (code !== 'DATABASE_ERROR' && code !== 'PREFLIGHT_FAILED') throw error
    return { note: `${note} Its rows can't be counted: ${message}` }
  }
}

async function isThere(sql: Sql, table: QualifiedName): Promise<boolean> {
  const [row] = await sql<
    [{ there: boolean }]
  >`SELECT pg_catalog.to_regclass(${quoteTable(table)}) IS NOT NULL AS there`
  return row.there
}
