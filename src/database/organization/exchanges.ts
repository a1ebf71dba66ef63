import type postgres from 'postgres'
import { AppError } from '../../errors.js'
import { quoteIdentifier } from '../identifiers.js'
import type { Conflict } from './conflicts.js'
import { changeOf, type TableChange } from './diff.js'
import { canBeReplaced, type MergeTable } from './drift.js'
import { rowNumber } from './load.js'
import { nameRows, namingColumns, type NamedRows } from './named-rows.js'
import { findParking, type Parking } from './parking.js'
import { exclusionConstraints, operationsOn, sameValues, uniqueIndexes, type Exclusion } from './unique.js'
import type { TenantGraph } from '../tenancy/tenant-table.js'

export interface ExchangePlan {
  /** The changes as the statement makes them: a row that is replaced is one removed and one added. */
  changes: TableChange[]
  parkings: Parking[]
}

/**
 * Looks for rows that an UPDATE can't bring back. Where rows exchange unique values, whichever is updated first finds
 * its value still held, since such a key is checked row by row; and no UPDATE writes a column that is always generated.
 * They are replaced where no key leads to their table, since rows without a reference can be deleted and inserted in
 * the one statement; else those that hold a value in another row's way are parked first, or replaced too, which
 * planStages looks after. Writes into the plans alone, so that a rehearsal finds out too.
 * @returns conflicts where some can neither be replaced nor parked
 */
export async function planExchanges(
  session: postgres.ReservedSql,
  graph: TenantGraph,
  tables: readonly MergeTable[],
  changes: readonly TableChange[]
): Promise<ExchangePlan & { conflicts: Conflict[] }> {
  const conflicts: Conflict[] = []
  const parkings: Parking[] = []
  const replaced = new Map<string, number>()
  for (const merged of tables) {
    const { table } = merged
    const change = changeOf(changes, merged)
    if (change.changed === 0) continue
    const replaceable = canBeReplaced(merged)
    const isReferred = graph.keys.some(({ target }) => target === table.oid)
    const replace = async (rows: string): Promise<void> => {
      replaced.set(table.label, (replaced.get(table.label) ?? 0) + (await replaceRows(session, merged, rows)))
    }
    const column = alwaysGenerated(merged)
    if (column !== undefined) {
      const rows = otherIdentity(merged, column)
      const found = await nameRows(session, table.label, named(merged, rows), 'own', namingColumns(merged, [column]))
      if (found.count > 0 && replaceable) await replace(rows)
      else if (found.count > 0) conflicts.push(cannotSet(merged, column, found))
    }
    for (const constraint of [
      ...(await uniqueIndexes(session, merged)),
      ...(await exclusionConstraints(session, merged))
    ]) {
      if (!constraint.immediate || !operationsOn(merged, constraint, change).includes('u')) continue
      const rows = inTheWay(merged, constraint)
      const found = await nameRows(
        session,
        table.label,
        named(merged, rows),
        'own',
        namingColumns(merged, constraint.columns)
      )
      if (found.count === 0) continue
      const parking =
        replaceable && !isReferred ? null : await findParking(session, graph, merged, constraint, rows, parkings)
      if (parking !== null) parkings.push(parking)
      else if (replaceable) await replace(rows)
      else conflicts.push(cannotExchange(merged, constraint, found))
    }
  }
  return {
    conflicts,
    parkings,
    changes: changes.map(change => {
      const rows = replaced.get(change.table) ?? 0
      return { ...change, added: change.added + rows, changed: change.changed - rows, removed: change.removed + rows }
    })
  }
}

async function replaceRows(session: postgres.ReservedSql, { plan }: MergeTable, rows: string): Promise<number> {
  const replaced = await session.unsafe(`
    WITH removed AS (
      UPDATE ${plan} p SET operation = 'd', ${rowNumber} = NULL FROM (${rows}) x
      WHERE p.operation = 'u' AND p.${rowNumber} = x.number RETURNING x.number)
    INSERT INTO ${plan} (operation, ${rowNumber}) SELECT 'i', number FROM removed RETURNING 1`)
  return replaced.length
}

/** A column that no UPDATE sets and that the key does not make equal; a table has one identity at most. */
function alwaysGenerated(merged: MergeTable): string | undefined {
  const { table, columns, key } = merged
  return table.columns.find(
    ({ name, identity }) => identity === 'always' && columns.includes(name) && key?.includes(name) !== true
  )?.name
}

function otherIdentity({ table, archive, plan }: MergeTable, column: string): string {
  return `SELECT p.${rowNumber} AS number FROM ${plan} p JOIN ${archive} a ON a.${rowNumber} = p.${rowNumber}
    JOIN ${table.source} t ON t.tableoid = p.relation AND t.ctid = p.place
    WHERE p.operation = 'u' AND t.${quoteIdentifier(column)} <> a.${quoteIdentifier(column)}`
}

/**
 * The numbers of rows whose present value another row is to be given by UPDATE; what is inserted comes after all of
 * those.
 */
function inTheWay(merged: MergeTable, constraint: Exclusion): string {
  return `SELECT DISTINCT held.${rowNumber} AS number FROM ${sameValues(merged, constraint, ['u'])}
    JOIN ${merged.plan} held ON held.relation = l."merge relation" AND held.place = l."merge place"
    WHERE held.operation = 'u' AND held.${rowNumber} <> a.${rowNumber}`
}

function cannotSet({ table }: MergeTable, column: string, { count, text }: NamedRows): Conflict {
  return {
    field: table.label,
    reason: 'generated-always',
    message:
      `${text} ${count === 1 ? 'has' : 'have'} another value of ${column} than in the backup, and PostgreSQL generates that column always: ` +
      `run ALTER TABLE ${table.relation} ALTER COLUMN ${quoteIdentifier(column)} SET GENERATED BY DEFAULT`
  }
}

function cannotExchange({ table }: MergeTable, { name, columns }: Exclusion, { count, text }: NamedRows): Conflict {
  return {
    field: table.label,
    reason: 'no-temporary-value',
    message: `${text} ${count === 1 ? 'exchanges its value' : 'exchange their values'} of ${name} (${columns.join(', ')}), and no other value was found for the meantime`
  }
}

/** @throws AppError RESTORE_CONFLICT */
export function refuseExchanges(conflicts: Conflict[]): void {
  if (conflicts.length === 0) return
  throw new AppError(
    'RESTORE_CONFLICT',
    'value-exchange-impossible',
    'The backup fits the database, but the restore has no way to give some rows their values back.',
    {
      errors: conflicts.slice(0, 100),
      remedy:
        'Where rows exchange values, change those values in the application first, or have a developer make the constraint DEFERRABLE; ' +
        'where a column is generated always, run the ALTER TABLE that is named. Then restore again.'
    }
  )
}

/** FROM: the archive's rows of these numbers. */
function named({ archive }: MergeTable, rows: string): string {
  return `FROM (${rows}) x JOIN ${archive} own ON own.${rowNumber} = x.number`
}
