import { Type, type Static } from '@sinclair/typebox'
import type { CatalogTable, ForeignKey } from './tenant-catalog.js'

export const TenantClass = Type.Union([
  Type.Literal('root', { description: 'The tenant table itself' }),
  Type.Literal('direct', { description: 'A required foreign key to the tenant table' }),
  Type.Literal('chain', { description: 'Required foreign keys through other tables' }),
  Type.Literal('partial', { description: 'Only a path that can be null: rows without an owner are left out' }),
  Type.Literal('declared', { description: 'TENANCY_FILE names the column that decides' }),
  Type.Literal('global', { description: 'No path: belongs to no organization, never backed up, never changed' }),
  Type.Literal('excluded', { description: 'TENANCY_FILE leaves it out' })
])
export type TenantClass = Static<typeof TenantClass>

export interface TenantTable extends CatalogTable {
  class: TenantClass
  /** TENANCY_FILE names its owner column, so its rows may refer to other organizations' rows. */
  declared: boolean
  /** The keys from this table to the tenant table; empty for root, global and excluded. */
  anchor: ForeignKey[]
  /** schema.name, for people. */
  label: string
  /** Quoted, for SQL. */
  relation: string
  /** For FROM: without the tables that inherit from it, which are tables of their own. */
  source: string
}

export interface TenantGraph {
  root: TenantTable | null
  /** The column of the tenant table that is the organization's id. */
  rootKey: string
  tables: TenantTable[]
  /** Every foreign key between user tables, those that are no evidence included. */
  keys: ForeignKey[]
  obstacles: string[]
  notes: string[]
}

/** Whether an organization's rows of the table are backed up. */
export function isTenant(table: TenantTable): boolean {
  return table.class !== 'global' && table.class !== 'excluded'
}

/** The columns by which a tenant table has its partitions for organizations; empty when it has none. */
export function listedOwners({ root, rootKey }: Pick<TenantGraph, 'root' | 'rootKey'>, table: TenantTable): string[] {
  const owners = table === root ? [rootKey] : (table.anchor[0]?.columns ?? [])
  return table.listedBy.filter(column => owners.includes(column))
}

/** Such as `public.tasks (project_id) → public.projects (id)`. */
export function describeKey(graph: Pick<TenantGraph, 'tables'>, key: ForeignKey): string {
  const side = (oid: number, columns: string[]): string =>
    `${graph.tables.find(table => table.oid === oid)!.label} (${columns.join(', ')})`
  return `${side(key.table, key.columns)} \u2192 ${side(key.target, key.references)}`
}
