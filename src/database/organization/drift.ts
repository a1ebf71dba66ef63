import { AppError, type Problem } from '../../errors.js'
import { labelOf } from '../identifiers.js'
import type { Catalog, CatalogColumn, CatalogTable } from '../tenancy/tenant-catalog.js'
import { isTenant, type TenantGraph, type TenantTable } from '../tenancy/tenant-table.js'
import { storedColumns, tableOf } from '../tenancy/tenant-rows.js'
import type { TableRows } from '../table-rows.js'

/** A table that a merge works on. */
export interface MergeTable {
  /** As it is now. */
  table: TenantTable
  /** It came after the backup: what stands for the archive's rows is what is to be left of the live ones. */
  isNewer: boolean
  /** What the archive has values for. */
  columns: string[]
  /** Tells rows apart on both sides; null: by their whole content. */
  key: string[] | null
  /** Some of its live rows become archived rows of another key; see pairReplacements. */
  rekeyed: boolean
  /** The archive's rows, and the changes that make the live rows equal to them: temporary tables. */
  archive: string
  plan: string
  /** The archive's number of rows. */
  rows: number
}

/** Types whose equal values are the same bytes; 1.0 = 1.00 of numeric and A = a of citext are not. */
const equalByBytes = /^(?:smallint|integer|bigint|uuid|text|character varying.*|date|timestamp.*|boolean|bytea)$/

/**
 * The columns that an UPDATE of the table's rows sets. Those of the key are equal already where that means the same
 * bytes, and an identity that is always generated can't be written by UPDATE.
 */
export function updatedColumns({
  table,
  columns,
  key,
  rekeyed
}: Pick<MergeTable, 'table' | 'columns' | 'key' | 'rekeyed'>): string[] {
  const fixed = table.columns.filter(
    ({ name, type, identity }) =>
      identity === 'always' || (!rekeyed && key?.includes(name) === true && equalByBytes.test(type))
  )
  return columns.filter(column => !fixed.some(({ name }) => name === column))
}

/** The archive has every value of its rows, so nothing is lost when they are written anew. */
export function canBeReplaced({ table, columns }: MergeTable): boolean {
  return storedColumns(table).every(column => columns.includes(column))
}

export interface Drift {
  tables: MergeTable[]
  /** Differences that do not matter, by table label. */
  notes: Map<string, string>
}

/**
 * What the archive's rows mean in the schema as it is now. Added tables are left as they are and added columns keep
 * their value or take their default; where a value of the archive has no place any more, the merge is refused.
 * @param dumped the tables that the archive holds rows of; a table that is not among them says nothing about its rows
 * @throws AppError SCHEMA_DRIFT with everything that stands in the way
 */
export function compareSchemas(live: TenantGraph, archived: Catalog, dumped: readonly TableRows[]): Drift {
  const problems: Problem[] = []
  const notes = new Map<string, string>()
  const tables: MergeTable[] = []
  for (const { schema, name, rows } of dumped) {
    const label = labelOf({ schema, name })
    const refuse = (reason: string, what: string): void => {
      problems.push({ field: label, reason, message: `${label} ${what}` })
    }
    const before = find(archived.tables, schema, name)
    const now = find(live.tables, schema, name)
    if (before === undefined) refuse('table-not-in-archive', 'is not in the archive, though its metadata says so')
    else if (now === undefined) {
      if (rows > 0) refuse('table-dropped', 'was dropped')
      else notes.set(label, 'The table was dropped; the backup has no rows of it.')
    } else if (!isTenant(now)) {
      if (rows > 0) refuse('table-without-owner', `belongs to no organization any more (${now.class})`)
    } else {
      const { columns, added } = compareColumns(before, now, refuse)
      if (now.hasRules) refuse('table-with-rules', "has rules (CREATE RULE), which one statement can't get past")
      if (added.length > 0)
        notes.set(label, `Columns added since the backup keep their value or take their default: ${added.join(', ')}.`)
      const number = tables.length + 1
      tables.push({
        table: now,
        isNewer: false,
        columns,
        key: now.key !== null && now.key.every(column => columns.includes(column)) ? now.key : null,
        rekeyed: false,
        archive: `pg_temp.archive_${number}`,
        plan: `pg_temp.plan_${number}`,
        rows
      })
    }
  }
  refuseLostPaths(live, tables, problems)
  if (problems.length > 0) {
    throw new AppError(
      'SCHEMA_DRIFT',
      'schema-changed',
      "The schema has changed since the backup in ways that it can't be restored into.",
      { errors: problems }
    )
  }
  for (const table of live.tables) {
    if (isTenant(table) && !tables.some(merged => merged.table === table)) {
      notes.set(table.label, 'The backup does not have this table: its rows are left as they are.')
    }
  }
  return { tables, notes }
}

function find<Table extends CatalogTable>(tables: readonly Table[], schema: string, name: string): Table | undefined {
  return tables.find(table => table.schema === schema && table.name === name)
}

function compareColumns(
  before: CatalogTable,
  now: TenantTable,
  refuse: (reason: string, what: string) => void
): { columns: string[]; added: string[] } {
  const stored = before.columns.filter(({ generated }) => !generated)
  const columns: string[] = []
  for (const column of stored) {
    const current = now.columns.find(({ name }) => name === column.name)
    if (current === undefined) refuse('column-dropped', `has no column ${column.name} any more`)
    else if (current.generated) refuse('column-generated', `computes the column ${column.name} now`)
    else if (current.type !== column.type)
      refuse('column-type-changed', `had ${column.name} as ${column.type}, which is ${current.type} now`)
    else columns.push(column.name)
  }
  const added = now.columns.filter(({ name, generated }) => !generated && !stored.some(column => column.name === name))
  for (const column of added) {
    if (!canBeLeftOut(column))
      refuse(
        'column-needs-value',
        `needs a value in ${column.name}, which the backup does not have: give the column a default`
      )
  }
  return { columns, added: added.map(({ name }) => name) }
}

function canBeLeftOut({ notNull, hasDefault, identity }: CatalogColumn): boolean {
  return !notNull || hasDefault || identity !== null
}

/** The owner of an archived row is found in the archive alone, so every key on the way must be in it. */
function refuseLostPaths(live: TenantGraph, tables: MergeTable[], problems: Problem[]): void {
  const columnsOf = (oid: number): string[] | undefined => tables.find(({ table }) => table.oid === oid)?.columns
  for (const { table } of tables) {
    const lost = table.anchor.find(
      key =>
        key.columns.some(column => columnsOf(key.table)?.includes(column) !== true) ||
        key.references.some(column => columnsOf(key.target)?.includes(column) !== true)
    )
    if (lost === undefined) continue
    problems.push({
      field: table.label,
      reason: 'owner-key-not-in-archive',
      message: `${table.label} finds its owner by the key ${lost.name} of ${tableOf(live, lost.table).label}, which the backup does not have`
    })
  }
}
