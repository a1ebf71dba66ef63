import type postgres from 'postgres'
import { quoteIdentifier } from '../identifiers.js'
import { changeOf, type TableChange } from './diff.js'
import type { MergeTable } from './drift.js'
import { rowNumber } from './load.js'
import type { TenantGraph } from '../tenancy/tenant-table.js'

/**
 * Where a row goes and another of the same unique value comes back, and a key with an action (ON DELETE CASCADE, …)
 * leads to that value: the live row becomes the archived one by UPDATE. The value never leaves, so the action strikes
 * none of the rows that lead there, and those are left alone. Writes into the plans alone.
 * @returns the changes as they are then: one changed instead of one removed and one added
 */
export async function pairReplacements(
  session: postgres.Sql,
  graph: TenantGraph,
  tables: readonly MergeTable[],
  changes: readonly TableChange[]
): Promise<TableChange[]> {
  const paired = new Map<string, number>()
  for (const merged of tables) {
    const { removed, added } = changeOf(changes, merged)
    if (removed === 0 || added === 0) continue
    const references = graph.keys
      .filter(
        key =>
          key.target === merged.table.oid &&
          key.deleteActs &&
          key.references.every(column => merged.columns.includes(column))
      )
      .map(key => key.references)
    for (const columns of distinct(references)) {
      const rows = await pairRows(session, merged, columns)
      paired.set(merged.table.label, (paired.get(merged.table.label) ?? 0) + rows)
      if (rows > 0) merged.rekeyed = true
    }
  }
  return changes.map(change => {
    const rows = paired.get(change.table) ?? 0
    return { ...change, added: change.added - rows, changed: change.changed + rows, removed: change.removed - rows }
  })
}

function distinct(lists: readonly string[][]): string[][] {
  return [...new Map(lists.map(list => [JSON.stringify([...list].sort()), list])).values()]
}

/**
 * The values are unique on either side; no UPDATE writes an identity that is always generated, so that must be equal.
 */
async function pairRows(
  session: postgres.Sql,
  { table, columns, archive, plan }: MergeTable,
  references: readonly string[]
): Promise<number> {
  const fixed = table.columns
    .filter(({ name, identity }) => identity === 'always' && columns.includes(name))
    .map(({ name }) => name)
  const equal = [...new Set([...references, ...fixed])]
    .map(column => `l.${quoteIdentifier(column)} = a.${quoteIdentifier(column)}`)
    .join(' AND ')
  const paired = await session.unsafe(`
    WITH pairs AS (
      SELECT a.${rowNumber} AS number, l.tableoid AS relation, l.ctid AS place
      FROM ${plan} removed JOIN ${table.source} l ON l.tableoid = removed.relation AND l.ctid = removed.place AND removed.operation = 'd'
        JOIN ${archive} a ON ${equal} JOIN ${plan} added ON added.${rowNumber} = a.${rowNumber} AND added.operation = 'i'),
    updated AS (
      UPDATE ${plan} p SET operation = 'u', ${rowNumber} = pairs.number FROM pairs WHERE p.operation = 'd' AND p.relation = pairs.relation AND p.place = pairs.place)
    DELETE FROM ${plan} p USING pairs WHERE p.operation = 'i' AND p.${rowNumber} = pairs.number RETURNING 1`)
  return paired.length
}
