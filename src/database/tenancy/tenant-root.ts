import type { CatalogTable } from './tenant-catalog.js'
import { findTables } from './tenant-declarations.js'
import { labelOf } from '../identifiers.js'

export interface TenantRoot<Table> {
  table: Table | undefined
  /** The column that is the organization's id; empty when there is none. */
  key: string
  /** Why organizations can't be told apart by it; empty when they can. */
  obstacles: string[]
}

/**
 * The tenant table among the database's ordinary and partitioned tables. A view, or a key of several columns,
 * does not tell how many organizations there are.
 * @param tenantTable unquoted, plain or `schema.table`
 */
export function findRoot<Table extends Pick<CatalogTable, 'schema' | 'name' | 'primaryKey'>>(
  tables: Table[],
  tenantTable: string
): TenantRoot<Table> {
  const found = findTables(tables, tenantTable)
  const table = found.find(({ schema }) => schema === 'public') ?? found[0]
  if (table === undefined) {
    return {
      table,
      key: '',
      obstacles: [
        `There is no table "${tenantTable}" (a view is none): set TENANT_TABLE to the table that has one row an organization.`
      ]
    }
  }
  const obstacles: string[] = []
  if (found.length > 1 && table.schema !== 'public')
    obstacles.push(`Several schemas have a table "${tenantTable}": set TENANT_TABLE to schema.table.`)
  const [key, ...rest] = table.primaryKey ?? []
  if (key !== undefined && rest.length === 0) return { table, key, obstacles }
  obstacles.push(`${labelOf(table)} has no primary key of one column, so an organization has no single id.`)
  return { table, key: '', obstacles }
}
