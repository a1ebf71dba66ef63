import type postgres from 'postgres'
import { AppError } from '../../errors.js'
import { labelOf } from '../identifiers.js'
import { ownSchema } from '../load/marker.js'
import { ChangedMeanwhile, type ExpectedWrites } from './apply.js'
import { remainingDifferences } from './diff.js'
import type { MergeTable } from './drift.js'
import type { TenantGraph } from '../tenancy/tenant-table.js'

export interface Writes {
  table: number
  label: string
  inserted: number
  updated: number
  deleted: number
}

/**
 * What this transaction has written so far, by table; partitions count for their root. The session must have done
 * nothing before it, since its statistics are sent off with a delay (PostgreSQL manual, "The Cumulative Statistics
 * System").
 */
export async function writesSoFar(session: postgres.Sql): Promise<Writes[]> {
  const rows = await session<Array<Record<'table' | 'schema' | 'name' | 'inserted' | 'updated' | 'deleted', string>>>`
    SELECT coalesce(pg_partition_root(relid), relid)::oid::text AS table, min(schemaname) AS schema, min(relname) AS name,
      sum(n_tup_ins) AS inserted, sum(n_tup_upd) AS updated, sum(n_tup_del) AS deleted
    FROM pg_stat_xact_user_tables WHERE schemaname !~ '^pg_temp' AND schemaname <> ${ownSchema}
    GROUP BY 1 HAVING sum(n_tup_ins + n_tup_upd + n_tup_del) > 0`
  return rows.map(({ table, schema, name, inserted, updated, deleted }) => ({
    table: Number(table),
    label: labelOf({ schema, name }),
    inserted: Number(inserted),
    updated: Number(updated),
    deleted: Number(deleted)
  }))
}

/**
 * The last look before COMMIT: the organization's rows are the archive's, and no other row was written, as PostgreSQL
 * counted.
 * @throws AppError RESTORE_CONFLICT, INTERNAL_ERROR
 */
export async function verifyMerge(
  session: postgres.Sql,
  graph: TenantGraph,
  tables: readonly MergeTable[],
  organizationId: string,
  expected: ExpectedWrites
): Promise<void> {
  const different = await remainingDifferences(session, graph, tables, organizationId)
  if (different.length > 0) throw new ChangedMeanwhile(`${different.join(', ')} still differ from the backup`)
  const writes = new Map((await writesSoFar(session)).map(counted => [counted.table, counted]))
  const [counting] = await session<[{ on: boolean }]>`SELECT current_setting('track_counts')::boolean AS on`
  if (!counting.on) return
  for (const oid of new Set([...writes.keys(), ...expected.keys()])) {
    const nothing = { inserted: 0, updated: 0, deleted: 0 }
    const counted = writes.get(oid) ?? nothing
    const planned = expected.get(oid) ?? nothing
    // A row that an update moves to another partition counts as deleted and inserted.
    if (
      counted.inserted + counted.updated === planned.inserted + planned.updated &&
      counted.deleted + counted.updated === planned.deleted + planned.updated
    )
      continue
    throw new AppError(
      'RESTORE_CONFLICT',
      'writes-differ-from-plan',
      `More or less was written to ${writes.get(oid)?.label ?? 'a table'} than the restore planned; nothing was changed.`,
      {
        remedy: 'Look for rules or cascades that write to this table, and leave it out in TENANCY_FILE if need be.'
      }
    )
  }
}
