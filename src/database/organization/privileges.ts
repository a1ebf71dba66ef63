import type postgres from 'postgres'
import { AppError, type Problem } from '../../errors.js'
import { quoteIdentifier } from '../identifiers.js'
import { changeOf } from './diff.js'
import { updatedColumns, type MergeTable } from './drift.js'
import type { ExchangePlan } from './exchanges.js'
import { firingTriggers } from './triggers.js'
import { sequencesOf } from '../tenancy/tenant-sequences.js'
import type { TenantGraph, TenantTable } from '../tenancy/tenant-table.js'

const remedy = "Have the owner of the database's objects or a superuser run what is named, then restore again."

/** Asked first, since the comparison itself is made in temporary tables. @throws AppError PREFLIGHT_FAILED */
export async function requireTemporaryTables(session: postgres.Sql): Promise<void> {
  const [database] = await session<[{ name: string; user: string; allowed: boolean }]>`
    SELECT current_database()::text AS name, current_user::text AS user, has_database_privilege(current_database(), 'TEMPORARY') AS allowed`
  const { name, user, allowed } = database
  if (!allowed)
    refuse([
      {
        reason: 'temporary-tables',
        message: `temporary tables: GRANT TEMPORARY ON DATABASE ${quoteIdentifier(name)} TO ${quoteIdentifier(user)}`
      }
    ])
}

/**
 * Asks the catalog for every right that making these changes takes, so that a rehearsal tells all that is missing at
 * once.
 * @param laggingSequences those that the restore is going to advance
 * @throws AppError PREFLIGHT_FAILED
 */
export async function requirePrivileges(
  session: postgres.Sql,
  graph: TenantGraph,
  tables: readonly MergeTable[],
  exchanges: ExchangePlan,
  laggingSequences: () => Promise<Array<{ sequence: string }>>
): Promise<void> {
  const [{ name, user }] = await session<[{ name: string; user: string }]>`
    SELECT quote_ident(current_database()) AS name, quote_ident(current_user) AS user`
  refuse([
    ...(await missingForMarker(session, name, user)),
    ...(await missingOnTables(session, graph, tables, exchanges, user)),
    ...(await missingOnSequences(session, tables, laggingSequences, user)),
    ...(await missingOwnership(session, graph, tables, exchanges, user)),
    ...(await missingIdentities(session, tables, exchanges))
  ])
}

/** SELECT … FOR UPDATE takes the right to update one column at least. */
export async function mayLockRows(session: postgres.Sql, { oid }: TenantTable): Promise<boolean> {
  const [row] = await session<[{ allowed: boolean }]>`SELECT has_any_column_privilege(${oid}::oid, 'UPDATE') AS allowed`
  return row.allowed
}

function refuse(shortfalls: Problem[]): void {
  if (shortfalls.length === 0) return
  throw new AppError('PREFLIGHT_FAILED', 'rights-missing', 'The database user lacks what the restore needs.', {
    errors: shortfalls,
    remedy
  })
}

/** CREATE SCHEMA IF NOT EXISTS asks for the right even where the schema exists. */
async function missingForMarker(session: postgres.Sql, database: string, user: string): Promise<Problem[]> {
  const [row] = await session<
    [{ allowed: boolean }]
  >`SELECT has_database_privilege(current_database(), 'CREATE') AS allowed`
  return row.allowed
    ? []
    : [
        {
          reason: 'create-schema-right-missing',
          message: `a schema of its own in the database: GRANT CREATE ON DATABASE ${database} TO ${user}`
        }
      ]
}

interface Needed {
  privilege: string
  oid: number
  relation: string
  label: string
  columns: string[]
}

async function missingOnTables(
  session: postgres.Sql,
  graph: TenantGraph,
  tables: readonly MergeTable[],
  { changes, parkings }: ExchangePlan,
  user: string
): Promise<Problem[]> {
  const { root, rootKey } = graph
  const missing: Problem[] = []
  if (!(await mayLockRows(session, root!)))
    missing.push({
      reason: 'update-right-missing',
      message: `locking the row of ${root!.label}: GRANT UPDATE (${quoteIdentifier(rootKey)}) ON ${root!.relation} TO ${user}`
    })
  for (const merged of tables) {
    const { table, columns } = merged
    const { added, changed, removed } = changeOf(changes, merged)
    const parked = parkings.filter(parking => parking.merged === merged).map(({ column }) => column)
    const needed: Needed[] = [
      ...(added > 0 ? [{ privilege: 'INSERT', columns }] : []),
      ...(changed > 0 ? [{ privilege: 'UPDATE', columns: [...new Set([...updatedColumns(merged), ...parked])] }] : []),
      ...(removed > 0 ? [{ privilege: 'DELETE', columns: [] }] : [])
    ].map(need => ({ ...need, oid: table.oid, relation: table.relation, label: table.label }))
    for (const need of needed) {
      if (!(await isGranted(session, need)))
        missing.push({
          reason: `${need.privilege.toLowerCase()}-right-missing`,
          message: `${need.privilege} on ${need.label}: GRANT ${need.privilege} ON ${need.relation} TO ${user}`
        })
    }
  }
  return missing
}

async function isGranted(session: postgres.Sql, { privilege, oid, columns }: Needed): Promise<boolean> {
  const [row] = await session<[{ allowed: boolean }]>`
    SELECT has_table_privilege(${oid}::oid, ${privilege}) OR (${columns.length} > 0 AND ${privilege} <> 'DELETE' AND NOT EXISTS (
      SELECT FROM unnest(${columns}::text[]) AS c (name) WHERE NOT has_column_privilege(${oid}::oid, c.name, CASE ${privilege} WHEN 'INSERT' THEN 'INSERT' ELSE 'UPDATE' END))) AS allowed`
  return row.allowed
}

async function missingOnSequences(
  session: postgres.Sql,
  tables: readonly MergeTable[],
  laggingSequences: () => Promise<Array<{ sequence: string }>>,
  user: string
): Promise<Problem[]> {
  const ask = async (sequences: string[], privileges: string): Promise<string[]> => {
    const rows = await session<Array<{ sequence: string }>>`
      SELECT DISTINCT sequence FROM unnest(${sequences}::text[]) AS s (sequence) WHERE NOT has_sequence_privilege(sequence::regclass, ${privileges}) ORDER BY 1`
    return rows.map(({ sequence }) => sequence)
  }
  const found = (
    await sequencesOf(
      session,
      tables.filter(({ rows }) => rows > 0).map(({ table }) => table.oid)
    )
  ).map(({ sequence }) => sequence)
  const unreadable = await ask(found, 'SELECT')
  if (unreadable.length > 0)
    return unreadable.map(sequence => ({
      reason: 'sequence-right-missing',
      message: `SELECT and UPDATE on ${sequence}: GRANT SELECT, UPDATE ON SEQUENCE ${sequence} TO ${user}`
    }))
  return (
    await ask(
      (await laggingSequences()).map(({ sequence }) => sequence),
      'UPDATE'
    )
  ).map(sequence => ({
    reason: 'sequence-right-missing',
    message: `UPDATE on ${sequence}: GRANT UPDATE ON SEQUENCE ${sequence} TO ${user}`
  }))
}

async function missingOwnership(
  session: postgres.Sql,
  graph: TenantGraph,
  tables: readonly MergeTable[],
  { changes }: ExchangePlan,
  user: string
): Promise<Problem[]> {
  const triggers = (await firingTriggers(session, graph, tables, changes)).filter(({ owned }) => !owned)
  return [...new Set(triggers.map(({ relation }) => relation))].map(relation => {
    const names = triggers
      .filter(trigger => trigger.relation === relation)
      .map(({ name }) => name)
      .join(', ')
    return {
      reason: 'ownership-missing',
      message: `ownership of ${relation}, whose triggers (${names}) are switched off meanwhile: ALTER TABLE ${relation} OWNER TO ${user}, or GRANT its owner TO ${user}`
    }
  })
}

/** Rows of a published table are updated and deleted only where a replica identity tells them apart. */
async function missingIdentities(
  session: postgres.Sql,
  tables: readonly MergeTable[],
  { changes }: ExchangePlan
): Promise<Problem[]> {
  const written = tables.filter(merged => changeOf(changes, merged).changed + changeOf(changes, merged).removed > 0)
  const found = await session<Array<{ relation: string; publications: string }>>`
    SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS relation, string_agg(DISTINCT p.pubname::text, ', ') AS publications
    FROM unnest(${written.map(({ table }) => table.oid)}::oid[], ${written.map(merged => changeOf(changes, merged).changed)}::integer[],
        ${written.map(merged => changeOf(changes, merged).removed)}::integer[]) AS t (oid, updated, deleted),
      LATERAL (SELECT t.oid AS leaf UNION SELECT relid::oid FROM pg_partition_tree(t.oid)) leaves
      JOIN pg_class c ON c.oid = leaf JOIN pg_namespace n ON n.oid = c.relnamespace,
      LATERAL (SELECT leaf AS published UNION SELECT relid::oid FROM pg_partition_ancestors(leaf)) ways
      JOIN pg_class pc ON pc.oid = published JOIN pg_namespace pn ON pn.oid = pc.relnamespace
      JOIN pg_publication_tables v ON v.schemaname = pn.nspname AND v.tablename = pc.relname
      JOIN pg_publication p ON p.pubname = v.pubname
    WHERE c.relkind = 'r' AND ((t.updated > 0 AND p.pubupdate) OR (t.deleted > 0 AND p.pubdelete)) AND c.relreplident <> 'f'
      AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisvalid AND
        ((c.relreplident = 'd' AND i.indisprimary) OR (c.relreplident = 'i' AND i.indisreplident)))
    GROUP BY 1 ORDER BY 1`
  return found.map(({ relation, publications }) => ({
    reason: 'replica-identity-missing',
    message: `a replica identity of ${relation}, which is published (${publications}): ALTER TABLE ${relation} REPLICA IDENTITY FULL`
  }))
}
