import { Type, type Static } from '@sinclair/typebox'
import type postgres from 'postgres'
import type { Tenancy } from './tenancy-file.js'
import { tenancyFindings } from './tenancy-findings.js'
import { findAnchors, followAnchors, type Anchor } from './tenant-anchors.js'
import { readCatalog, type Catalog, type CatalogTable, type ForeignKey } from './tenant-catalog.js'
import { readDeclarations, type Declaration } from './tenant-declarations.js'
import { findRoot } from './tenant-root.js'
import { describeKey, TenantClass, type TenantGraph, type TenantTable } from './tenant-table.js'
import { labelOf, quoteTable } from '../identifiers.js'

/** How each table is classified and why, for GET /api/backup/tenancy. */
export const TenancyReport = Type.Object(
  {
    tenantTable: Type.Union([Type.String(), Type.Null()]),
    tables: Type.Array(
      Type.Object(
        {
          table: Type.String({ description: 'schema.name' }),
          class: TenantClass,
          path: Type.Array(Type.String(), {
            description: 'The foreign keys that decide the owner, from the table to the tenant table'
          }),
          key: Type.Union([Type.Array(Type.String()), Type.Null()], {
            description: 'The columns that tell its rows apart'
          })
        },
        { additionalProperties: false }
      )
    ),
    obstacles: Type.Array(Type.String(), { description: 'What makes a backup of one organization impossible' }),
    notes: Type.Array(Type.String(), { description: 'What is not in a backup of one organization, or needs care' })
  },
  { $id: 'TenancyReport', additionalProperties: false }
)
export type TenancyReport = Static<typeof TenancyReport>

export interface TenantGraphOptions {
  /** `table` or `schema.table`, unquoted. */
  tenantTable: string
  tenancy?: Tenancy | null
}

/** Which tables belong to an organization, and by which path, from the foreign keys alone. */
export async function readTenantGraph(sql: postgres.Sql, options: TenantGraphOptions): Promise<TenantGraph> {
  return buildTenantGraph(await readCatalog(sql), options)
}

/** The same from a catalog that was read already. */
export function buildTenantGraph(catalog: Catalog, { tenantTable, tenancy }: TenantGraphOptions): TenantGraph {
  const { table: rootTable, key: rootKey, obstacles } = findRoot(catalog.tables, tenantTable)
  const declared = readDeclarations(catalog, rootTable, rootKey, tenancy ?? null, obstacles)
  const anchors = rootTable === undefined ? new Map<number, Anchor>() : findAnchors(catalog, rootTable.oid, declared)
  const tables = catalog.tables.map((table): TenantTable => {
    const anchor = followAnchors(table.oid, anchors)
    return {
      ...table,
      class: classify(table, rootTable, declared.get(table.oid), anchors.get(table.oid), anchor),
      declared: typeof declared.get(table.oid) === 'object',
      anchor,
      label: labelOf(table),
      relation: quoteTable(table),
      source: table.partitioned ? quoteTable(table) : `ONLY ${quoteTable(table)}`
    }
  })
  const graph = { root: tables.find(({ class: kind }) => kind === 'root') ?? null, rootKey, tables, keys: catalog.keys }
  const findings = tenancyFindings(graph, catalog)
  return { ...graph, obstacles: [...obstacles, ...findings.obstacles], notes: findings.notes }
}

/** The part of the graph that people read; holds no rows. */
export function describeTenancy(graph: TenantGraph): TenancyReport {
  return {
    tenantTable: graph.root?.label ?? null,
    tables: graph.tables.map(table => ({
      table: table.label,
      class: table.class,
      path: table.anchor.map(key => describeKey(graph, key)),
      key: table.key
    })),
    obstacles: graph.obstacles,
    notes: graph.notes
  }
}

function classify(
  table: CatalogTable,
  root: CatalogTable | undefined,
  declaration: Declaration | undefined,
  anchor: Anchor | undefined,
  path: ForeignKey[]
): TenantClass {
  if (table === root) return 'root'
  if (declaration === 'excluded') return 'excluded'
  if (anchor === undefined) return 'global'
  if (declaration !== undefined) return 'declared'
  if (anchor.nullable > 0) return 'partial'
  return path.length === 1 ? 'direct' : 'chain'
}
