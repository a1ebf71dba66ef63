import { Type, type Static } from '@sinclair/typebox'
import type postgres from 'postgres'
import { quoteIdentifier } from './connection.js'
import type { Tenancy } from './tenancy-file.js'
import { quoteTable, readCatalog, type Catalog, type CatalogTable, type ForeignKey } from './tenant-catalog.js'
import { tenancyFindings } from './tenancy-findings.js'

export const TenantClass = Type.Union([
  Type.Literal('root', { description: 'The tenant table itself' }),
  Type.Literal('direct', { description: 'A required foreign key to the tenant table' }),
  Type.Literal('chain', { description: 'Required foreign keys through other tables' }),
  Type.Literal('partial', { description: 'Only a path that can be null: rows without an owner are left out' }),
  Type.Literal('declared', { description: 'TENANCY_FILE names the column that decides' }),
  Type.Literal('global', { description: 'No path: belongs to nobody, never backed up, never changed' }),
  Type.Literal('excluded', { description: 'TENANCY_FILE leaves it out' })
])
export type TenantClass = Static<typeof TenantClass>

/** How each table is classified and why, for GET /api/backup/tenancy. */
export const TenancyReport = Type.Object({
  tenantTable: Type.Union([Type.String(), Type.Null()]),
  tables: Type.Array(Type.Object({
    table: Type.String({ description: 'schema.name' }),
    class: TenantClass,
    path: Type.Array(Type.String(), { description: 'The foreign keys that decide the owner, from the table to the tenant table' }),
    key: Type.Union([Type.Array(Type.String()), Type.Null()], { description: 'The columns that tell its rows apart' })
  }, { additionalProperties: false })),
  obstacles: Type.Array(Type.String(), { description: 'What makes a backup of one organization impossible' }),
  notes: Type.Array(Type.String(), { description: 'What is not in a backup of one organization, or needs care' })
}, { $id: 'TenancyReport', additionalProperties: false })
export type TenancyReport = Static<typeof TenancyReport>

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

export interface TenantGraphOptions {
  /** `table` or `schema.table`, unquoted. */
  tenantTable: string
  tenancy?: Tenancy | null
}

/** Whether an organization's rows of the table are backed up. */
export function isTenant (table: TenantTable): boolean {
  return table.class !== 'global' && table.class !== 'excluded'
}

/** Which tables belong to an organization, and by which path, from the foreign keys alone. */
export async function readTenantGraph (sql: postgres.Sql, options: TenantGraphOptions): Promise<TenantGraph> {
  return buildTenantGraph(await readCatalog(sql), options)
}

/** The same from a catalog that was read already. */
export function buildTenantGraph (catalog: Catalog, { tenantTable, tenancy }: TenantGraphOptions): TenantGraph {
  const obstacles: string[] = []
  const rootTable = findRoot(catalog.tables, tenantTable, obstacles)
  const rootKey = rootTable?.primaryKey?.length === 1 ? rootTable.primaryKey[0]! : ''
  if (rootTable !== undefined && rootKey === '') {
    obstacles.push(`${label(rootTable)} has no primary key of one column, so an organization has no single id.`)
  }
  const declared = readDeclarations(catalog, rootTable, rootKey, tenancy ?? null, obstacles)
  const anchors = rootTable === undefined ? new Map<number, Anchor>() : findAnchors(catalog, rootTable.oid, declared)
  const tables = catalog.tables.map((table): TenantTable => {
    const anchor = followAnchors(table.oid, anchors)
    return {
      ...table,
      class: classify(table, rootTable, declared.get(table.oid), anchors.get(table.oid), anchor),
      declared: typeof declared.get(table.oid) === 'object',
      anchor,
      label: label(table),
      relation: quoteTable(table),
      source: table.partitioned ? quoteTable(table) : `ONLY ${quoteTable(table)}`
    }
  })
  const graph = { root: tables.find(({ class: kind }) => kind === 'root') ?? null, rootKey, tables, keys: catalog.keys }
  const findings = tenancyFindings(graph, catalog)
  return { ...graph, obstacles: [...obstacles, ...findings.obstacles], notes: findings.notes }
}

/** The part of the graph that people read; holds no rows. */
export function describeTenancy (graph: TenantGraph): TenancyReport {
  return {
    tenantTable: graph.root?.label ?? null,
    tables: graph.tables.map((table) => ({
      table: table.label,
      class: table.class,
      path: table.anchor.map((key) => describeKey(graph, key)),
      key: table.key
    })),
    obstacles: graph.obstacles,
    notes: graph.notes
  }
}

/** Such as `public.tasks (project_id) → public.projects (id)`. */
export function describeKey (graph: Pick<TenantGraph, 'tables'>, key: ForeignKey): string {
  const side = (oid: number, columns: string[]): string =>
    `${graph.tables.find((table) => table.oid === oid)!.label} (${columns.join(', ')})`
  return `${side(key.table, key.columns)} → ${side(key.target, key.references)}`
}

function label ({ schema, name }: { schema: string, name: string }): string {
  return `${schema}.${name}`
}

function findTables (tables: CatalogTable[], text: string): CatalogTable[] {
  const exact = tables.filter((table) => label(table) === text)
  return exact.length > 0 ? exact : tables.filter(({ name }) => name === text)
}

function findRoot (tables: CatalogTable[], tenantTable: string, obstacles: string[]): CatalogTable | undefined {
  const found = findTables(tables, tenantTable)
  const root = found.find(({ schema }) => schema === 'public') ?? found[0]
  if (root === undefined) obstacles.push(`There is no table "${tenantTable}": set TENANT_TABLE to the table that has one row an organization.`)
  else if (found.length > 1 && root.schema !== 'public') {
    obstacles.push(`Several schemas have a table "${tenantTable}": set TENANT_TABLE to schema.table.`)
  }
  return root
}

type Declaration = { owner: ForeignKey } | 'excluded'

function readDeclarations (
  catalog: Catalog, root: CatalogTable | undefined, rootKey: string, tenancy: Tenancy | null, obstacles: string[]
): Map<number, Declaration> {
  const declarations = new Map<number, Declaration>()
  for (const [name, declaration] of Object.entries(tenancy?.tables ?? {})) {
    const found = findTables(catalog.tables, name)
    const table = found[0]
    if (table === undefined || found.length > 1) {
      obstacles.push(`TENANCY_FILE names "${name}", but ${found.length === 0 ? 'there is no such table' : 'several schemas have it'}.`)
    } else if ('exclude' in declaration) {
      if (table === root) obstacles.push('TENANCY_FILE excludes the tenant table itself.')
      else declarations.set(table.oid, 'excluded')
    } else if (root !== undefined && rootKey !== '') {
      const owner = declaredKey(catalog, table, declaration.owner, root, rootKey)
      if (typeof owner === 'string') obstacles.push(`TENANCY_FILE declares ${name} by "${declaration.owner}", but ${owner}.`)
      else declarations.set(table.oid, { owner })
    }
  }
  return declarations
}

/** The foreign key that starts at the declared column, else one that the operator vouches for, straight to the tenant table. */
function declaredKey (
  catalog: Catalog, table: CatalogTable, name: string, root: CatalogTable, rootKey: string
): ForeignKey | string {
  const column = table.columns.find((candidate) => candidate.name === name)
  if (column === undefined) return 'the table has no such column'
  const own = catalog.keys.filter((key) => key.table === table.oid && !key.onPartition && key.target !== table.oid)
  const key = own.find(({ columns }) => columns.length === 1 && columns[0] === name) ?? own.find(({ columns }) => columns.includes(name))
  if (key !== undefined) return key
  const type = root.columns.find((candidate) => candidate.name === rootKey)!.type
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
    acts: false,
    onPartition: false
  }
}

interface Anchor { key: ForeignKey, nullable: number, length: number }

/**
 * The best way of each table to the root: fewest keys that can be null, then fewest keys, then a first key that can't be
 * null, then names, so that the same schema always gives the same graph. Each key on the way makes it worse, so cycles end.
 */
function findAnchors (catalog: Catalog, root: number, declared: Map<number, Declaration>): Map<number, Anchor> {
  const evidence = catalog.keys.filter((key) =>
    key.validated && !key.onPartition && key.table !== key.target && key.table !== root && !declared.has(key.table))
  for (const [table, declaration] of declared) {
    if (declaration !== 'excluded' && table !== root) evidence.push(declaration.owner)
  }
  const anchors = new Map<number, Anchor>()
  let changed = true
  while (changed) {
    changed = false
    for (const key of evidence) {
      const next = anchors.get(key.target)
      if ((next === undefined && key.target !== root) || declared.get(key.target) === 'excluded') continue
      const anchor = { key, nullable: (next?.nullable ?? 0) + (key.notNull ? 0 : 1), length: (next?.length ?? 0) + 1 }
      const current = anchors.get(key.table)
      if (current !== undefined && compareAnchors(anchor, current) >= 0) continue
      anchors.set(key.table, anchor)
      changed = true
    }
  }
  return anchors
}

function compareAnchors (one: Anchor, other: Anchor): number {
  const names = ({ key }: Anchor): string => `${key.name}\0${key.targetRelation}`
  return one.nullable - other.nullable || one.length - other.length ||
    Number(other.key.notNull) - Number(one.key.notNull) ||
    (names(one) < names(other) ? -1 : names(one) > names(other) ? 1 : 0)
}

function followAnchors (table: number, anchors: Map<number, Anchor>): ForeignKey[] {
  const path: ForeignKey[] = []
  for (let anchor = anchors.get(table); anchor !== undefined; anchor = anchors.get(anchor.key.target)) path.push(anchor.key)
  return path
}

function classify (
  table: CatalogTable, root: CatalogTable | undefined, declaration: Declaration | undefined, anchor: Anchor | undefined, path: ForeignKey[]
): TenantClass {
  if (table === root) return 'root'
  if (declaration === 'excluded') return 'excluded'
  if (anchor === undefined) return 'global'
  if (declaration !== undefined) return 'declared'
  if (anchor.nullable > 0) return 'partial'
  return path.length === 1 ? 'direct' : 'chain'
}

/** A column list for SQL. */
export function quoteColumns (columns: readonly string[], alias?: string): string {
  return columns.map((column) => alias === undefined ? quoteIdentifier(column) : `${alias}.${quoteIdentifier(column)}`).join(', ')
}
