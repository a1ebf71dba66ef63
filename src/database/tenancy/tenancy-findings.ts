import { hiddenRows } from '../readable.js'
import type { Catalog } from './tenant-catalog.js'
import { describeKey, isTenant, listedOwners, type TenantGraph, type TenantTable } from './tenant-table.js'

/** What stands in the way of a backup of one organization, and what it leaves out, in words for a developer. */
export function tenancyFindings(
  graph: Omit<TenantGraph, 'obstacles' | 'notes'>,
  catalog: Catalog
): { obstacles: string[]; notes: string[] } {
  if (graph.root === null) return { obstacles: [], notes: [] }
  const tenants = graph.tables.filter(isTenant)
  const outside = new Set(graph.tables.filter(table => !isTenant(table)).map(({ oid }) => oid))
  const names = (tables: TenantTable[]): string => tables.map(({ label }) => label).join(', ')
  const obstacles: string[] = []
  const notes: string[] = []
  for (const table of tenants) {
    if (!table.readable)
      obstacles.push(`${table.label} can't be read: grant SELECT on it to the service's database user.`)
    else if (table.rowSecurity) {
      obstacles.push(hiddenRows(table.label))
    }
    if (table.periodKeys.length > 0) {
      obstacles.push(
        `${table.label} has a key that compares periods (WITHOUT OVERLAPS: ${table.periodKeys.join(', ')}), which a backup of one organization ` +
          'does not support yet: leave the table out with TENANCY_FILE, or drop the key.'
      )
    }
    if (table.hasRules)
      notes.push(
        `${table.label} has rules (CREATE RULE), so it can be backed up but not restored for one organization.`
      )
    if (table.class === 'partial') {
      notes.push(
        `${table.label} reaches the tenant table only through keys that can be null: rows without an owner are left out.`
      )
    }
    if (listedOwners(graph, table).length > 0) {
      notes.push(
        `${table.label} has partitions for organizations: a backup has those that are for the organization or hold its rows, and those ` +
          'that something else in the schema needs, with all their names, values and comments. Partition it by hash where that tells too much.'
      )
    }
    if (table.unvalidated.length > 0) {
      notes.push(
        `${table.label} has constraints that are NOT VALID (${table.unvalidated.join(', ')}): the restore of a backup is refused where it has to write a ` +
          'row that breaks one. Correct such rows and VALIDATE CONSTRAINT, then make another backup.'
      )
    }
    if (table.key === null) notes.push(`${table.label} has no key: its rows are compared by their whole content.`)
  }
  for (const key of graph.keys) {
    if (outside.has(key.table) && outside.has(key.target)) continue
    if (key.period && !outside.has(key.table)) {
      obstacles.push(
        `${describeKey(graph, key)} compares periods (PERIOD), which a backup of one organization does not support yet: ` +
          'leave the table out with TENANCY_FILE, or drop the key.'
      )
    }
    if (!key.enforced && key.oid !== 0) {
      notes.push(
        `${describeKey(graph, key)} is NOT ENFORCED, so it is no evidence of who owns a row, and a restore does not ask whether its rows lead anywhere.`
      )
    } else if (outside.has(key.target)) {
      notes.push(
        `${describeKey(graph, key)}: the target belongs to no organization and is not in the backup, so the archive has this key as NOT VALID, ` +
          'and the rows it leads to must still exist when the backup is restored.'
      )
    } else if (!key.validated) {
      notes.push(
        `${describeKey(graph, key)} is NOT VALID, so it is no evidence of who owns a row: VALIDATE CONSTRAINT if it should be.`
      )
    }
  }
  const global = graph.tables.filter(({ class: kind }) => kind === 'global')
  const excluded = graph.tables.filter(({ class: kind }) => kind === 'excluded')
  const guarded = tenants.filter(({ hasTriggers }) => hasTriggers)
  if (global.length > 0)
    notes.push(
      `No foreign key leads from these tables to the tenant table, so they are in no backup of one organization: ${names(global)}.`
    )
  if (excluded.length > 0) notes.push(`TENANCY_FILE leaves these tables out: ${names(excluded)}.`)
  if (guarded.length > 0) {
    notes.push(
      'These tables have triggers, which a restore switches off: where it changes rows, other writers to the table wait ' +
        `until it has committed: ${names(guarded)}.`
    )
  }
  if (catalog.largeObjects)
    notes.push('Large objects belong to no table, so they are in no backup of one organization.')
  if (catalog.foreignTables > 0) notes.push('Foreign tables are not backed up.')
  if (catalog.materializedViews > 0) {
    notes.push(
      'Materialized views are empty in the archive, and a restore does not refresh them: REFRESH MATERIALIZED VIEW when needed.'
    )
  }
  return { obstacles, notes }
}
