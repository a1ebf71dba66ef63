import type postgres from 'postgres'
import { quoteIdentifier } from '../connection/connection.js'
import { changeOf, type TableChange } from './diff.js'
import { refuseConflicts } from './conflicts.js'
import type { MergeTable } from './drift.js'
import { rowNumber } from './load.js'
import { operationsOn, sameValues, uniqueIndexes, type UniqueIndex } from './unique.js'
import type { TenantGraph } from '../tenancy/tenant-table.js'

/** Rows of a table that hold a unique value in another row's way. */
export interface Exchange {
  merged: MergeTable
  /** The assignment that gets them out of the way. */
  place: string
  /** The query of their numbers. */
  inTheWay: string
}

/**
 * Where rows exchange unique values, whichever is updated first finds its value still held, since such a key is checked row by
 * row. Those that hold a value in another row's way have to be parked first.
 * @throws AppError RESTORE_CONFLICT when no column of the index can take another value
 */
export async function findExchanges (
  session: postgres.ReservedSql, graph: TenantGraph, tables: readonly MergeTable[], changes: readonly TableChange[]
): Promise<Exchange[]> {
  const exchanges: Exchange[] = []
  for (const merged of tables) {
    for (const index of await uniqueIndexes(session, merged)) {
      const operations = operationsOn(merged, index, changeOf(changes, merged))
      if (!index.immediate || !operations.includes('u')) continue
      const inTheWay = `SELECT DISTINCT held.${rowNumber} AS number FROM ${sameValues(merged, index, operations)}
        JOIN ${merged.plan} held ON held.relation = l."merge relation" AND held.place = l."merge place"
        WHERE held.operation = 'u' AND held.${rowNumber} <> a.${rowNumber}`
      const [found] = await session.unsafe<Array<{ rows: string }>>(`SELECT count(*) AS rows FROM (${inTheWay}) x`)
      if (found!.rows !== '0') exchanges.push({ merged, place: parkingPlace(graph, merged, index), inTheWay })
    }
  }
  return exchanges
}

/** Gives the rows that are in the way values that nobody has. @returns how many rows of each table were parked */
export async function parkValues (session: postgres.ReservedSql, exchanges: readonly Exchange[]): Promise<Map<number, number>> {
  const parked = new Map<number, number>()
  for (const { merged, place, inTheWay } of exchanges) {
    parked.set(merged.table.oid, (parked.get(merged.table.oid) ?? 0) + await park(session, merged, place, inTheWay))
  }
  return parked
}

async function park (session: postgres.ReservedSql, { table, plan }: MergeTable, set: string, inTheWay: string): Promise<number> {
  const moved = await session.unsafe(`
    WITH numbered AS (SELECT number, row_number() OVER (ORDER BY number) AS n FROM (${inTheWay}) x),
      moved AS (
        UPDATE ${table.source} t SET ${set} FROM ${plan} p JOIN numbered ON numbered.number = p.${rowNumber}
        WHERE t.tableoid = p.relation AND t.ctid = p.place RETURNING p.${rowNumber} AS number, t.tableoid AS relation, t.ctid AS place)
    UPDATE ${plan} p SET relation = moved.relation, place = moved.place FROM moved WHERE p.${rowNumber} = moved.number RETURNING 1`)
  return moved.length
}

/** An assignment that gives the index a value which no row has: NULL where allowed, else made up by type. */
function parkingPlace (graph: TenantGraph, merged: MergeTable, index: UniqueIndex): string {
  const { table } = merged
  const inKeys = new Set(graph.keys.flatMap((key) => [
    ...(key.table === table.oid ? key.columns : []), ...(key.target === table.oid ? key.references : [])
  ]))
  const candidates = table.columns.filter(({ name }) =>
    index.columns.includes(name) && !inKeys.has(name) && merged.key?.includes(name) !== true)
  const nullable = index.nullsDistinct && index.predicate === null && index.terms.length > 0
    ? candidates.find(({ notNull, name }) => !notNull && index.terms.includes(quoted(name, index)))
    : undefined
  if (nullable !== undefined) return `${quoteIdentifier(nullable.name)} = NULL`
  for (const { name, type, category } of candidates) {
    const column = quoteIdentifier(name)
    if (type === 'uuid') return `${column} = pg_catalog.gen_random_uuid()`
    if (category === 'S') return `${column} = pg_catalog.md5(pg_catalog.random()::text || t.ctid::text)::${type}`
    if (/^(smallint|integer|bigint|numeric.*)$/.test(type)) return `${column} = (SELECT least(0, min(${column})) FROM ${table.relation}) - numbered.n`
  }
  refuseConflicts([{ field: table.label, message: `rows of ${table.label} exchange their values of ${index.name}, which this key does not allow` }])
  throw new Error('unreachable')
}

/** A column as pg_get_indexdef writes it. */
function quoted (name: string, { terms }: UniqueIndex): string {
  return terms.includes(name) ? name : quoteIdentifier(name)
}
