import type { Sql } from 'postgres'
import { AppError } from '../../errors.js'
import { labelOf, quoteIdentifier, quoteLiteral, quoteTable } from '../identifiers.js'
import { readKeyedTables } from './tenant-catalog.js'
import { findRoot } from './tenant-root.js'

export interface Organizations {
  /** schema.name; null in a database without any table, which has no organizations. */
  tenantTable: string | null
  all: number
  /** Those that are not the one asked for. */
  others: number
}

/**
 * How many organizations the database holds: the rows of the tenant table. Row level security hides none of them.
 * @param tenantTable unquoted, plain or `schema.table`
 * @throws AppError TENANCY_UNSUPPORTED when there are tables but no such tenant table: then the owners of their rows
 * are unknown
 */
export async function countOrganizations(
  sql: Sql,
  tenantTable: string,
  organizationId: string
): Promise<Organizations> {
  const census = await planCensus(sql, tenantTable, organizationId)
  if (census === null) return { tenantTable: null, all: 0, others: 0 }
  // A table that is being migrated must not make the caller wait for ever.
  await sql`SELECT set_config('row_security', 'off', false), set_config('lock_timeout', '10s', false)`
  const [row] = await sql.unsafe<[{ all: string; others: string }]>(census.query)
  return { tenantTable: census.tenantTable, all: Number(row.all), others: Number(row.others) }
}

/** How to count organizations in another session. */
export interface Census {
  /** schema.name */
  tenantTable: string
  /** The same, quoted. */
  relation: string
  /** Answers one row: all, and those that are not the one asked for. Takes row_security = off, and no search path. */
  query: string
}

/** Null in a database without any table. @throws AppError TENANCY_UNSUPPORTED, as countOrganizations does */
export async function planCensus(sql: Sql, tenantTable: string, organizationId: string): Promise<Census | null> {
  const tables = await readKeyedTables(sql)
  if (tables.length === 0) return null
  const { table, key, obstacles } = findRoot(tables, tenantTable)
  if (table === undefined || obstacles.length > 0) {
    throw new AppError(
      'TENANCY_UNSUPPORTED',
      'organizations-uncountable',
      `It can't be told how many organizations share the database. ${obstacles.join(' ')}`,
      {
        remedy:
          'Set TENANT_TABLE to the table that has one row an organization, or DATABASE_SCOPE=instance when the whole database belongs to one.'
      }
    )
  }
  const isOther = `${quoteIdentifier(key)}::pg_catalog.text OPERATOR(pg_catalog.<>) ${quoteLiteral(organizationId)}`
  return {
    tenantTable: labelOf(table),
    relation: quoteTable(table),
    query: `SELECT pg_catalog.count(*) AS all, pg_catalog.count(*) FILTER (WHERE ${isOther}) AS others FROM ${quoteTable(table)}`
  }
}

/** @throws AppError OTHER_ORGANIZATIONS_AFFECTED with their number, never their names */
export function refuseWithOthers({ all, others }: Organizations, why: string): void {
  if (others === 0) return
  throw new AppError(
    'OTHER_ORGANIZATIONS_AFFECTED',
    'other-organizations',
    `The database holds ${all} organizations, and ${why}.`
  )
}

/** What an organization without a row of its own gets: nothing of the database. */
export function organizationNotFound(tenantTable: string): AppError {
  return new AppError(
    'ORGANIZATION_NOT_FOUND',
    'organization-without-row',
    `The organization has no row in ${tenantTable}.`
  )
}
