import { setTimeout } from 'node:timers/promises'
import type postgres from 'postgres'
import { AppError } from '../errors.js'
import { quoteIdentifier } from './connection.js'
import type { MergeTable } from './organization-drift.js'
import { lockWaitMs } from './organization-schema.js'

export interface Trigger {
  /** Quoted relation: the table or a partition of it. */
  relation: string
  name: string
  always: boolean
}

const lockWait = '500ms'
const tries = 40
const pauseMs = 250

/**
 * Switches the application's triggers off, so that a restore changes what it says and nothing else. ALTER TABLE … DISABLE
 * TRIGGER takes SHARE ROW EXCLUSIVE (PostgreSQL manual, ALTER TABLE): others read on, writers to these tables wait until the
 * transaction ends. So it is done last, only where triggers are, and it does not queue for long, since writers would queue
 * behind it. session_replication_role would need a superuser and would switch the foreign keys off too.
 * @throws AppError DATABASE_BUSY
 */
export async function triggersOff (session: postgres.ReservedSql, tables: readonly MergeTable[]): Promise<Trigger[]> {
  const triggers = await session<Trigger[]>`
    WITH relations AS (
      SELECT oid FROM unnest(${tables.map(({ table }) => table.oid)}::oid[]) AS oid
      UNION SELECT p.relid FROM unnest(${tables.map(({ table }) => table.oid)}::oid[]) AS oid, pg_partition_tree(oid) p)
    SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS relation, t.tgname::text AS name, t.tgenabled = 'A' AS always
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE t.tgrelid IN (SELECT oid FROM relations) AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')
    ORDER BY 1, 2`
  if (triggers.length === 0) return []
  for (let attempt = 1; ; attempt += 1) {
    await session.unsafe(`SAVEPOINT triggers; SET LOCAL lock_timeout = '${lockWait}'`)
    try {
      for (const { relation, name } of triggers) await session.unsafe(`ALTER TABLE ONLY ${relation} DISABLE TRIGGER ${quoteIdentifier(name)}`)
      await session.unsafe(`RELEASE SAVEPOINT triggers; SET LOCAL lock_timeout = ${lockWaitMs}`)
      return [...triggers]
    } catch (error) {
      if ((error as { code?: unknown }).code !== '55P03') throw error
      // Rolling back gives the locks that were got free, so that the others can write meanwhile.
      await session.unsafe('ROLLBACK TO SAVEPOINT triggers')
      if (attempt === tries) {
        throw new AppError('DATABASE_BUSY', 'Other sessions kept writing to a table that has triggers.', {
          remedy: 'Wait until long transactions have ended, then try again.', cause: error
        })
      }
    }
    await setTimeout(pauseMs)
  }
}

/** Puts the triggers back as they were. */
export async function triggersOn (session: postgres.ReservedSql, triggers: readonly Trigger[]): Promise<void> {
  for (const { relation, name, always } of triggers) {
    await session.unsafe(`ALTER TABLE ONLY ${relation} ENABLE ${always ? 'ALWAYS ' : ''}TRIGGER ${quoteIdentifier(name)}`)
  }
}
