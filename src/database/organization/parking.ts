import type postgres from 'postgres'
import { systemCode } from '../../errors.js'
import { quoteColumns, quoteIdentifier } from '../identifiers.js'
import { updatedColumns, type MergeTable } from './drift.js'
import { rowNumber } from './load.js'
import { contradict, exclusionConstraints, livePlace, termsOf, uniqueIndexes, type Exclusion } from './unique.js'
import type { CatalogColumn } from '../tenancy/tenant-catalog.js'
import { type TenantGraph } from '../tenancy/tenant-table.js'
import { storedColumns } from '../tenancy/tenant-rows.js'

/** Rows that get out of the way of others, by a value of one column that was tried. */
export interface Parking {
  merged: MergeTable
  column: string
  /** The rows as they are parked, with the number that they have in the archive. */
  rows: string
}

/**
 * A value that gets the rows out of the constraint's way: tried in a table of the same columns, checks and computed
 * values, and compared with every row that is there, comes back or is parked already.
 * @param inTheWay the query of the rows' numbers
 * @returns null when no value was found
 */
export async function findParking(
  session: postgres.ReservedSql,
  graph: TenantGraph,
  merged: MergeTable,
  constraint: Exclusion,
  inTheWay: string,
  parkings: readonly Parking[]
): Promise<Parking | null> {
  const { table } = merged
  const constraints = [...(await uniqueIndexes(session, merged)), ...(await exclusionConstraints(session, merged))]
  const rows = `pg_temp.parked_${parkings.length + 1}`
  await session.unsafe(`DROP TABLE IF EXISTS ${rows};
    CREATE TEMPORARY TABLE ${rows.slice('pg_temp.'.length)} (LIKE ${table.relation} INCLUDING CONSTRAINTS INCLUDING GENERATED) ON COMMIT DROP;
    ALTER TABLE ${rows} ADD COLUMN ${rowNumber} bigint`)
  for (const { column, value } of await candidates(session, graph, merged, constraint, constraints)) {
    const parking = { merged, column, rows }
    await session.unsafe('SAVEPOINT parking')
    const refused =
      (await fill(session, parking, value, inTheWay)) ||
      (await isTaken(session, parking, constraint, constraints, parkings))
    if (!refused) {
      await session.unsafe('RELEASE SAVEPOINT parking')
      return parking
    }
    await session.unsafe('ROLLBACK TO SAVEPOINT parking')
  }
  return null
}

/** @returns whether the table refuses the value: by a check, a type, NOT NULL */
async function fill(
  session: postgres.ReservedSql,
  { merged: { table, plan }, column, rows }: Parking,
  value: string,
  inTheWay: string
): Promise<boolean> {
  const columns = storedColumns(table)
  try {
    await session.unsafe(`INSERT INTO ${rows} (${quoteColumns(columns)}, ${rowNumber})
      SELECT ${columns.map(name => (name === column ? value : `t.${quoteIdentifier(name)}`)).join(', ')}, numbered.number
      FROM (SELECT number, row_number() OVER (ORDER BY number) AS n FROM (${inTheWay}) x) numbered
        JOIN ${plan} p ON p.${rowNumber} = numbered.number JOIN ${table.source} t ON t.tableoid = p.relation AND t.ctid = p.place`)
    return false
  } catch (error) {
    // What a value can't be (22), what a constraint refuses (23) and what a type does not know (42), or a function of a
    // check (P0).
    if (/^(?:22|23|42|P0)/.test(systemCode(error) ?? '')) return true
    throw error
  }
}

async function isTaken(
  session: postgres.ReservedSql,
  { merged, column, rows }: Parking,
  constraint: Exclusion,
  constraints: readonly Exclusion[],
  parkings: readonly Parking[]
): Promise<boolean> {
  const { table, archive, plan } = merged
  for (const asked of constraints.filter(({ columns }) => columns.includes(column))) {
    const parked = termsOf(asked, rowNumber, rows)
    const others = [
      rows,
      archive,
      ...parkings.filter(parking => parking.merged === merged).map(parking => parking.rows)
    ]
    // Of the constraint in question the row must leave its own value too.
    const own =
      asked.name === constraint.name
        ? ''
        : ` AND NOT EXISTS (
      SELECT FROM ${plan} p WHERE p.${rowNumber} = a.${rowNumber} AND p.relation = o."merge relation" AND p.place = o."merge place")`
    const taken = [
      `(SELECT FROM ${parked} a JOIN ${termsOf(asked, livePlace, table.source)} o ON ${contradict(asked, 'o', 'a')}${own})`,
      ...others.map(
        other =>
          `(SELECT FROM ${parked} a JOIN ${termsOf(asked, rowNumber, other)} o ON ${contradict(asked, 'o', 'a')} AND o.${rowNumber} <> a.${rowNumber})`
      )
    ]
    const [row] = await session.unsafe<Array<{ taken: boolean }>>(
      `SELECT ${taken.map(query => `EXISTS ${query}`).join(' OR ')} AS taken`
    )
    if (row!.taken) return true
  }
  return false
}

/** Gives the rows that are in the way their values. @returns how many rows of each table were parked */
export async function parkValues(
  session: postgres.ReservedSql,
  parkings: readonly Parking[]
): Promise<Map<number, number>> {
  const parked = new Map<number, number>()
  for (const {
    merged: { table, plan },
    column,
    rows
  } of parkings) {
    const moved = await session.unsafe(`
      WITH moved AS (
        UPDATE ${table.source} t SET ${quoteIdentifier(column)} = x.${quoteIdentifier(column)} FROM ${plan} p JOIN ${rows} x ON x.${rowNumber} = p.${rowNumber}
        WHERE t.tableoid = p.relation AND t.ctid = p.place RETURNING p.${rowNumber} AS number, t.tableoid AS relation, t.ctid AS place)
      UPDATE ${plan} p SET relation = moved.relation, place = moved.place FROM moved WHERE p.${rowNumber} = moved.number RETURNING 1`)
    parked.set(table.oid, (parked.get(table.oid) ?? 0) + moved.length)
  }
  return parked
}

interface Candidate {
  column: string
  value: string
}

/**
 * Values that may do, NULL first; only of columns that the restore sets afterwards and that no key of other rows leads
 * to.
 */
async function candidates(
  session: postgres.ReservedSql,
  graph: TenantGraph,
  merged: MergeTable,
  constraint: Exclusion,
  constraints: readonly Exclusion[]
): Promise<Candidate[]> {
  const { table, key } = merged
  const partitioning = await session<Array<{ name: string }>>`
    SELECT DISTINCT a.attname::text AS name FROM pg_partition_tree(${table.oid}) r JOIN pg_partitioned_table p ON p.partrelid = r.relid
      JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = ANY(p.partattrs)`
  const referenced = graph.keys.filter(({ target }) => target === table.oid).flatMap(({ references }) => references)
  const foreign = graph.keys.filter(key => key.table === table.oid)
  const free = table.columns.filter(
    ({ name }) =>
      constraint.columns.includes(name) &&
      updatedColumns(merged).includes(name) &&
      key?.includes(name) !== true &&
      !referenced.includes(name) &&
      !partitioning.some(column => column.name === name)
  )
  // NULL in one of several columns of a key may be refused (MATCH FULL).
  const nulls = free.filter(
    ({ name, notNull }) =>
      !notNull &&
      foreign.every(({ columns }) => columns.length === 1 || !columns.includes(name)) &&
      constraints.every(({ columns, nullsDistinct }) => nullsDistinct || !columns.includes(name))
  )
  const found = nulls.map(({ name, type }) => ({ column: name, value: `NULL::${type}` }))
  for (const column of free.filter(({ name }) => foreign.every(({ columns }) => !columns.includes(name)))) {
    for (const value of await madeUp(session, table.relation, column))
      found.push({ column: column.name, value: `(${value})::${column.type}` })
  }
  return found
}

/** Values of a type that few rows have. `t` is the row, `numbered.n` its number among those in the way. */
async function madeUp(
  session: postgres.ReservedSql,
  relation: string,
  { name, type, category }: CatalogColumn
): Promise<string[]> {
  const column = quoteIdentifier(name)
  if (type === 'uuid') return ['gen_random_uuid()']
  switch (category) {
    case 'B':
      return ['false', 'true']
    case 'N':
      return [
        `(SELECT least(0, min(${column})) FROM ${relation})::numeric - numbered.n`,
        `(SELECT greatest(0, max(${column})) FROM ${relation})::numeric + numbered.n`
      ]
    case 'D':
      return [
        `(SELECT max(${column}) FROM ${relation} WHERE isfinite(${column})) + numbered.n * interval '1 day'`,
        `(SELECT min(${column}) FROM ${relation} WHERE isfinite(${column})) - numbered.n * interval '1 day'`,
        "'infinity'",
        "'-infinity'"
      ]
    case 'R':
      return ["'empty'"]
    case 'E': {
      // The first row takes any label, the second the next one, and so on.
      const [labels] = await session.unsafe<Array<{ count: number }>>(
        `SELECT cardinality(enum_range(NULL::${type})) AS count`
      )
      return Array.from(
        { length: labels!.count },
        (_, first) => `(enum_range(NULL::${type}))[1 + (numbered.n + ${first}) % ${labels!.count}]`
      )
    }
    case 'S': {
      const random = 'md5(random()::text || t.ctid::text)'
      const letters = `left(translate(${random}, '0123456789', 'ghijklmnop'), length(t.${column}::text))`
      return [
        random,
        `left(${random}, 12) || t.${column}::text`,
        `t.${column}::text || left(${random}, 12)`,
        letters,
        `upper(${letters})`,
        `left(translate(${random}, 'abcdef', '012345'), length(t.${column}::text))`
      ]
    }
    default:
      return []
  }
}
