import type postgres from 'postgres'
import { quoteLiteral, quoteTable, type QualifiedName } from '../identifiers.js'
import { listedOwners, type TenantGraph, type TenantTable } from '../tenancy/tenant-table.js'
import { ownedRows } from '../tenancy/tenant-rows.js'

interface Partition {
  oid: number
  relation: string
  parent: number
  column: string | null
  bound: string | null
}

/**
 * Partitions that are for other organizations: their names and values are no business of this one, so an organization's
 * archive does without them. Those that hold its rows or are for it stay, and so do the DEFAULT one and what views,
 * keys or functions elsewhere need.
 * @returns quoted relations
 */
export async function othersPartitions(
  sql: postgres.Sql,
  graph: TenantGraph,
  organizationId: string
): Promise<string[]> {
  const left: string[] = []
  for (const table of graph.tables) {
    const owners = listedOwners(graph, table)
    if (owners.length === 0) continue
    const partitions = await readPartitions(sql, table)
    const holding = await sql.unsafe<Array<{ oid: number }>>(
      `SELECT DISTINCT t.tableoid AS oid ${ownedRows(graph, table, 't', organizationId)}`
    )
    const below = partsOf(partitions)
    for (const partition of partitions) {
      const { oid, column, bound } = partition
      if (column === null || !owners.includes(column) || bound === null || bound === 'DEFAULT') continue
      const parts = below(oid)
      if (parts.some(part => holding.some(held => held.oid === part.oid) || left.includes(part.relation))) continue
      if (isOwnId(graph, table, column) && (await isFor(sql, table, column, bound, organizationId))) continue
      const going = [...parts, ...(await ownedSequences(sql, parts))]
      if (
        await isNeededElsewhere(
          sql,
          going.map(part => part.oid)
        )
      )
        continue
      left.push(...going.map(({ relation }) => relation))
    }
  }
  return left
}

async function readPartitions(sql: postgres.Sql, { oid }: TenantTable): Promise<Partition[]> {
  const rows = await sql<Array<Omit<Partition, 'relation'> & QualifiedName>>`
    SELECT c.oid, n.nspname::text AS schema, c.relname::text AS name, t.parentrelid::oid AS parent,
      (SELECT a.attname::text FROM pg_partitioned_table p JOIN pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
        WHERE p.partrelid = t.parentrelid AND p.partstrat = 'l') AS column,
      pg_get_expr(c.relpartbound, c.oid) AS bound
    FROM pg_partition_tree(${oid}::oid) t JOIN pg_class c ON c.oid = t.relid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE t.parentrelid IS NOT NULL ORDER BY t.level, c.relname COLLATE "C"`
  return rows.map(row => ({ ...row, relation: quoteTable(row) }))
}

/** pg_dump would write them without their table. */
async function ownedSequences(
  sql: postgres.Sql,
  parts: readonly Partition[]
): Promise<Array<{ oid: number; relation: string }>> {
  const rows = await sql<Array<{ oid: number } & QualifiedName>>`
    SELECT c.oid, n.nspname::text AS schema, c.relname::text AS name
    FROM pg_depend d JOIN pg_class c ON c.oid = d.objid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'a' AND c.relkind = 'S'
      AND d.refobjid = ANY(${parts.map(({ oid }) => oid)}::oid[])`
  return rows.map(row => ({ oid: row.oid, relation: quoteTable(row) }))
}

/** A partition with all that are below it. There may be thousands, so each is looked up. */
function partsOf(partitions: readonly Partition[]): (oid: number) => Partition[] {
  const own = new Map(partitions.map(partition => [partition.oid, partition]))
  const children = new Map<number, number[]>()
  for (const { oid, parent } of partitions) {
    const siblings = children.get(parent)
    if (siblings === undefined) children.set(parent, [oid])
    else siblings.push(oid)
  }
  const below = (oid: number): Partition[] => [own.get(oid)!, ...(children.get(oid) ?? []).flatMap(below)]
  return below
}

/** Whether the column holds the organization's id itself. */
function isOwnId(graph: TenantGraph, table: TenantTable, column: string): boolean {
  if (table === graph.root) return column === graph.rootKey
  const key = table.anchor[0]!
  return key.target === graph.root!.oid && key.references[key.columns.indexOf(column)] === graph.rootKey
}

/** PostgreSQL writes the bound of a list as `FOR VALUES IN (…)`. */
async function isFor(
  sql: postgres.Sql,
  table: TenantTable,
  column: string,
  bound: string,
  organizationId: string
): Promise<boolean> {
  const values = bound.slice('FOR VALUES IN ('.length, -1)
  const { type } = table.columns.find(({ name }) => name === column)!
  const [row] = await sql.unsafe<Array<{ own: boolean }>>(
    `SELECT ${quoteLiteral(organizationId)} IN (SELECT value::text FROM unnest(ARRAY[${values}]::${type}[]) value) AS own`
  )
  return row!.own
}

/** By something that is no part of them: a view, a function, a key or a column of another table. */
async function isNeededElsewhere(sql: postgres.Sql, oids: number[]): Promise<boolean> {
  const [row] = await sql<[{ needed: boolean }]>`
    WITH parts AS (SELECT unnest(${oids}::oid[]) AS oid),
      own AS (SELECT 'pg_class'::regclass AS classid, oid FROM parts
        UNION SELECT 'pg_class'::regclass, indexrelid FROM pg_index WHERE indrelid IN (SELECT oid FROM parts)
        UNION SELECT 'pg_constraint'::regclass, oid FROM pg_constraint WHERE conrelid IN (SELECT oid FROM parts) OR conparentid <> 0
        UNION SELECT 'pg_attrdef'::regclass, oid FROM pg_attrdef WHERE adrelid IN (SELECT oid FROM parts)
        UNION SELECT 'pg_policy'::regclass, oid FROM pg_policy WHERE polrelid IN (SELECT oid FROM parts)
        UNION SELECT 'pg_rewrite'::regclass, oid FROM pg_rewrite WHERE ev_class IN (SELECT oid FROM parts)
        UNION SELECT 'pg_trigger'::regclass, oid FROM pg_trigger WHERE tgrelid IN (SELECT oid FROM parts) OR tgparentid <> 0)
    SELECT EXISTS (
      SELECT FROM pg_depend d WHERE d.deptype = 'n' AND NOT EXISTS (SELECT FROM own WHERE own.classid = d.classid AND own.oid = d.objid) AND (
        d.refclassid = 'pg_class'::regclass AND d.refobjid IN (SELECT oid FROM parts)
        OR d.refclassid = 'pg_type'::regclass AND d.refobjid IN (SELECT y.oid FROM pg_class c JOIN parts USING (oid) JOIN pg_type r ON r.oid = c.reltype
          JOIN pg_type y ON y.oid IN (r.oid, r.typarray)))) AS needed`
  return row.needed
}
