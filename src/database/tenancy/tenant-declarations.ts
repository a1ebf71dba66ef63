import type { Tenancy } from './tenancy-file.js'
import { type Catalog, type CatalogTable, type ForeignKey } from './tenant-catalog.js'
import { labelOf, quoteTable } from '../identifiers.js'

/** What TENANCY_FILE says of a table. */
export type Declaration = { owner: ForeignKey } | 'excluded'

/** The operator's declarations by table; what is wrong with them becomes an obstacle. */
export function readDeclarations(
  catalog: Catalog,
  root: CatalogTable | undefined,
  rootKey: string,
  tenancy: Tenancy | null,
  obstacles: string[]
): Map<number, Declaration> {
  const declarations = new Map<number, Declaration>()
  for (const [name, declaration] of Object.entries(tenancy?.tables ?? {})) {
    const found = findTables(catalog.tables, name)
    const table = found[0]
    if (table === undefined || found.length > 1) {
      obstacles.push(
        `TENANCY_FILE names "${name}", but ${found.length === 0 ? 'there is no such table' : 'several schemas have it'}.`
      )
    } else if ('exclude' in declaration) {
      if (table === root) obstacles.push('TENANCY_FILE excludes the tenant table itself.')
      else declarations.set(table.oid, 'excluded')
    } else if (root !== undefined && rootKey !== '') {
      const owner = declaredKey(catalog, table, declaration.owner, root, rootKey)
      if (typeof owner === 'string')
        obstacles.push(`TENANCY_FILE declares ${name} by "${declaration.owner}", but ${owner}.`)
      else declarations.set(table.oid, { owner })
    }
  }
  return declarations
}

/**
 * The foreign key that starts at the declared column, else one that the operator vouches for, straight to the tenant
 * table.
 */
function declaredKey(
  catalog: Catalog,
  table: CatalogTable,
  name: string,
  root: CatalogTable,
  rootKey: string
): ForeignKey | string {
  const column = table.columns.find(candidate => candidate.name === name)
  if (column === undefined) return 'the table has no such column'
  const own = catalog.keys.filter(key => key.table === table.oid && !key.onPartition && key.target !== table.oid)
  const key =
    own.find(({ columns }) => columns.length === 1 && columns[0] === name) ??
    own.find(({ columns }) => columns.includes(name))
  if (key !== undefined) return key
  const type = root.columns.find(candidate => candidate.name === rootKey)!.type
  if (column.type !== type) return `its type is ${column.type}, not ${type} as the organization's id`
  return {
    oid: 0,
    name: `TENANCY_FILE: ${name}`,
    table: table.oid,
    relation: quoteTable(table),
    columns: [name],
    target: root.oid,
    targetRelation: quoteTable(root),
    references: [rootKey],
    operators: ['OPERATOR(pg_catalog.=)'],
    notNull: column.notNull,
    validated: true,
    enforced: false,
    period: false,
    deleteActs: false,
    updateActs: false,
    onDelete: 'other',
    emptied: [],
    onPartition: false,
    condition: null,
    targetCondition: null
  }
}

/** The tables that `schema.table` or `table` names. */
export function findTables<Table extends Pick<CatalogTable, 'schema' | 'name'>>(
  tables: Table[],
  text: string
): Table[] {
  const exact = tables.filter(table => labelOf(table) === text)
  return exact.length > 0 ? exact : tables.filter(({ name }) => name === text)
}
