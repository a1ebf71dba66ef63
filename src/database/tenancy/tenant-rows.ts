import { quoteIdentifier, quoteLiteral } from '../identifiers.js'
import type { ForeignKey } from './tenant-catalog.js'
import type { TenantGraph, TenantTable } from './tenant-table.js'

/** Where to read a table of the graph: the table itself, or something of the same columns in its place. */
export type Source = (table: TenantTable) => string

export function tableOf(graph: Pick<TenantGraph, 'tables'>, oid: number): TenantTable {
  return graph.tables.find(table => table.oid === oid)!
}

/** `references = columns` of a key, with the operators that the key itself uses. */
export function keyCondition(key: ForeignKey, child: string, parent: string): string {
  return key.columns
    .map(
      (column, index) =>
        `${parent}.${quoteIdentifier(key.references[index]!)} ${key.operators[index]} ${child}.${quoteIdentifier(column)}`
    )
    .join(' AND ')
}

/** The joins along the anchor that lead from a row to its owner, and the expression of the owner's id. */
export function ownerOf(
  graph: TenantGraph,
  table: TenantTable,
  alias: string,
  join: 'JOIN' | 'LEFT JOIN' = 'JOIN',
  source?: Source
): { joins: string; owner: string } {
  let child = alias
  let joins = ''
  for (const [index, key] of table.anchor.entries()) {
    const position = key.references.indexOf(graph.rootKey)
    if (key.target === graph.root!.oid && position >= 0) {
      return { joins, owner: `${child}.${quoteIdentifier(key.columns[position]!)}` }
    }
    const parent = `${alias}_${index + 1}`
    const target = tableOf(graph, key.target)
    const relation = source?.(target) ?? (key.targetRelation === target.relation ? target.source : key.targetRelation)
    joins += ` ${join} ${relation} ${parent} ON ${keyCondition(key, child, parent)}`
    child = parent
  }
  return { joins, owner: `${child}.${quoteIdentifier(graph.rootKey)}` }
}

/**
 * `FROM … WHERE …` of the rows that an organization owns by the anchor. A table without an anchor must not be asked
 * for.
 */
export function ownedRows(
  graph: TenantGraph,
  table: TenantTable,
  alias: string,
  organizationId: string,
  source?: Source
): string {
  const { joins, owner } = ownerOf(graph, table, alias, 'JOIN', source)
  return `FROM ${source?.(table) ?? table.source} ${alias}${joins} WHERE ${owner} = ${quoteLiteral(organizationId)}`
}

/** `FROM … WHERE …` of the organization's own row in the tenant table. */
export function ownRow({ root, rootKey }: Pick<TenantGraph, 'root' | 'rootKey'>, organizationId: string): string {
  return `FROM ${root!.relation} WHERE ${quoteIdentifier(rootKey)}::text = ${quoteLiteral(organizationId)}`
}

/** Columns that a dump carries: generated ones follow from the others. */
export function storedColumns(table: TenantTable): string[] {
  return table.columns.filter(({ generated }) => !generated).map(({ name }) => name)
}
