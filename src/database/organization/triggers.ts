import { setTimeout } from 'node:timers/promises'
import type postgres from 'postgres'
import { AppError } from '../../errors.js'
import { quoteIdentifier } from '../identifiers.js'
import { changeOf, type TableChange } from './diff.js'
import type { MergeTable } from './drift.js'
import type { TenantGraph } from '../tenancy/tenant-table.js'

export interface Trigger {
  /** Quoted relation: the table or a partition of it. */
  relation: string
  name: string
  always: boolean
  /** Whether the session's user may switch it off. */
  owned: boolean
}

const lockWait = '100ms'
const tries = 100
const pauseMs = 200

/** Bits of pg_trigger.tgtype (src/include/catalog/pg_trigger.h in PostgreSQL's source). */
const onInsert = 4
const onDelete = 8
const onUpdate = 16

/** The application's triggers that the changes would fire. */
export async function firingTriggers(
  session: postgres.Sql,
  graph: TenantGraph,
  tables: readonly MergeTable[],
  changes: readonly TableChange[]
): Promise<Trigger[]> {
  return await session<Trigger[]>`
    WITH tables AS (
      SELECT * FROM unnest(${tables.map(({ table }) => table.oid)}::oid[], ${tables.map(merged => writes(merged, changes))}::integer[],
        ${tables.map(merged => actions(graph, merged, tables, changes))}::integer[]) AS t (oid, writes, actions)),
      relations AS (SELECT * FROM tables UNION SELECT p.relid, writes, actions FROM tables, pg_partition_tree(oid) p)
    SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS relation, t.tgname::text AS name, t.tgenabled = 'A' AS always,
      pg_has_role(c.relowner, 'USAGE') AS owned
    FROM pg_trigger t JOIN relations r ON r.oid = t.tgrelid JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')
      AND (t.tgtype::integer & r.writes <> 0 OR (t.tgtype::integer & 1 = 0 AND t.tgtype::integer & r.actions <> 0))
    ORDER BY 1, 2`
}

/**
 * Switches the application's triggers off, so that a restore changes what it says and nothing else. ALTER TABLE …
 * DISABLE TRIGGER takes SHARE ROW EXCLUSIVE (PostgreSQL manual, ALTER TABLE): others read on, writers to these tables
 * wait until the transaction ends. So it is done last, only where triggers would fire, and it does not queue for long,
 * since writers would queue behind it. session_replication_role would need a superuser and would switch the foreign
 * keys off too.
 * @throws AppError DATABASE_BUSY
 */
export async function triggersOff(
  session: postgres.ReservedSql,
  graph: TenantGraph,
  tables: readonly MergeTable[],
  changes: readonly TableChange[]
): Promise<Trigger[]> {
  const triggers = await firingTriggers(session, graph, tables, changes)
  if (triggers.length === 0) return []
  const [{ wait }] = await session<[{ wait: string }]>`SELECT current_setting('lock_timeout') AS wait`
  for (let attempt = 1; ; attempt += 1) {
    await session.unsafe(`SAVEPOINT triggers; SET LOCAL lock_timeout = '${lockWait}'`)
    try {
      for (const { relation, name } of triggers)
        await session.unsafe(`ALTER TABLE ONLY ${relation} DISABLE TRIGGER ${quoteIdentifier(name)}`)
      await session.unsafe(`RELEASE SAVEPOINT triggers; SET LOCAL lock_timeout = '${wait}'`)
      return triggers
    } catch (error) {
      if ((error as { code?: unknown }).code !== '55P03') throw error
      // Rolling back gives the locks that were got free, so that the others can write meanwhile.
      await session.unsafe('ROLLBACK TO SAVEPOINT triggers')
      if (attempt === tries) {
        throw new AppError(
          'DATABASE_BUSY',
          'triggers-kept-busy',
          'Other sessions kept writing to a table that has triggers.',
          {
            remedy: 'Wait until long transactions have ended, then try again.',
            cause: error
          }
        )
      }
    }
    await setTimeout(pauseMs)
  }
}

/**
 * The events that the plan brings about; an update that moves a row to another partition is a delete and an insert
 * there.
 */
function writes(merged: MergeTable, changes: readonly TableChange[]): number {
  const { added, changed, removed } = changeOf(changes, merged)
  return (
    (added > 0 ? onInsert : 0) |
    (removed > 0 ? onDelete : 0) |
    (changed === 0 ? 0 : merged.table.partitioned ? onInsert | onDelete | onUpdate : onUpdate)
  )
}

/**
 * Those of the keys' actions (ON DELETE CASCADE, …): they find no row any more, but triggers of a statement fire for
 * none too.
 */
function actions(
  graph: TenantGraph,
  { table }: MergeTable,
  tables: readonly MergeTable[],
  changes: readonly TableChange[]
): number {
  const acting = graph.keys.filter(key => (key.deleteActs || key.updateActs) && key.table === table.oid)
  return tables.some(
    parent =>
      acting.some(({ target }) => target === parent.table.oid) &&
      changeOf(changes, parent).removed + changeOf(changes, parent).changed > 0
  )
    ? onDelete | onUpdate
    : 0
}

/** Puts the triggers back as they were. */
export async function triggersOn(session: postgres.ReservedSql, triggers: readonly Trigger[]): Promise<void> {
  for (const { relation, name, always } of triggers) {
    await session.unsafe(
      `ALTER TABLE ONLY ${relation} ENABLE ${always ? 'ALWAYS ' : ''}TRIGGER ${quoteIdentifier(name)}`
    )
  }
}
