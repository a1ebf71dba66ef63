import type postgres from 'postgres'
import { AppError } from '../../errors.js'
import { labelOf, quoteColumns, quoteIdentifier } from '../identifiers.js'
import { changeOf, type TableChange } from './diff.js'
import { updatedColumns, type MergeTable } from './drift.js'
import { rowNumber } from './load.js'
import { parkValues, type Parking } from './parking.js'
import { triggersOff, triggersOn } from './triggers.js'
import { type TenantGraph } from '../tenancy/tenant-table.js'

/** How many rows each table's statistics must show in the end. */
export type ExpectedWrites = Map<number, { inserted: number; updated: number; deleted: number }>

/**
 * Makes the planned changes in the caller's transaction: in one statement, since foreign keys are checked at its end,
 * so that no order of tables is needed and no cascade strikes. The rows that one would strike all the same are added by
 * a second.
 * @param changes as planStages hands them back
 * @throws AppError RESTORE_CONFLICT, DATABASE_BUSY
 */
export async function applyChanges(
  session: postgres.ReservedSql,
  graph: TenantGraph,
  tables: readonly MergeTable[],
  changes: readonly TableChange[],
  parkings: readonly Parking[]
): Promise<ExpectedWrites> {
  const planned = changes.reduce((sum, { added, changed, removed }) => sum + added + changed + removed, 0)
  if (planned === 0) return new Map()
  try {
    // From here to the commit writers to tables with triggers wait, so nothing that can be done before is done after.
    const triggers = await triggersOff(session, graph, tables, changes)
    const parked = await parkValues(session, parkings)
    const [first] = await session.unsafe<Array<{ written: string }>>(mergeStatement(tables, changes))
    const [second] = await session.unsafe<Array<{ written: string }>>(laterStatement(tables, changes))
    const written = Number(first!.written) + Number(second!.written)
    if (written !== planned) throw new ChangedMeanwhile(`${written} of ${planned} planned changes could be made`)
    // What was deferred is checked now, while the caller can still roll back, and before the triggers are touched
    // again.
    await session.unsafe('SET CONSTRAINTS ALL IMMEDIATE')
    await triggersOn(session, triggers)
    return new Map(
      tables.map(merged => {
        const { added, changed, removed } = changeOf(changes, merged)
        return [
          merged.table.oid,
          { inserted: added, updated: changed + (parked.get(merged.table.oid) ?? 0), deleted: removed }
        ]
      })
    )
  } catch (error) {
    throw conflictError(error)
  }
}

/**
 * Deletes, then updates, then inserts: each phase reads how many rows the one before has done, so it has to wait for
 * it. What has nothing to do is left out, since triggers of a statement fire for no row too.
 */
function mergeStatement(tables: readonly MergeTable[], changes: readonly TableChange[]): string {
  const having = (count: 'removed' | 'changed' | 'added'): MergeTable[] =>
    tables.filter(merged => changeOf(changes, merged)[count] > 0)
  return `WITH ${[
    phase('deleted', having('removed').map(deleteStatement), '0'),
    phase(
      'updated',
      having('changed')
        .filter(merged => updatedColumns(merged).length > 0)
        .map(updateStatement),
      '(SELECT rows FROM deleted)'
    ),
    phase(
      'inserted',
      having('added').map(merged => `${insertStatement(merged)} AND NOT p.later AND (SELECT rows FROM updated) >= 0`),
      '(SELECT rows FROM updated)'
    )
  ].join(',\n')}
  SELECT rows AS written FROM inserted`
}

/** Every action has fired by now, and none does when rows are added. */
function laterStatement(tables: readonly MergeTable[], changes: readonly TableChange[]): string {
  const added = tables.filter(merged => changeOf(changes, merged).added > 0)
  return `WITH ${phase(
    'inserted',
    added.map(merged => `${insertStatement(merged)} AND p.later`),
    '0'
  )} SELECT rows AS written FROM inserted`
}

function phase(name: string, statements: string[], start: string): string {
  return [
    ...statements.map((statement, index) => `${name}_${index} AS (${statement} RETURNING 1)`),
    `${name} AS (SELECT ${[start, ...statements.map((_, index) => `(SELECT count(*) FROM ${name}_${index})`)].join(' + ')} AS rows)`
  ].join(',\n')
}

// By place and not by key: a row that another session has moved to another organization meanwhile is somewhere else
// now.
const samePlace = 't.tableoid = p.relation AND t.ctid = p.place'

function deleteStatement({ table, plan }: MergeTable): string {
  return `DELETE FROM ${table.source} t USING ${plan} p WHERE p.operation = 'd' AND ${samePlace}`
}

function updateStatement(merged: MergeTable): string {
  const { table, archive, plan } = merged
  return `UPDATE ${table.source} t SET ${updatedColumns(merged)
    .map(column => `${quoteIdentifier(column)} = a.${quoteIdentifier(column)}`)
    .join(', ')}
    FROM ${plan} p JOIN ${archive} a ON a.${rowNumber} = p.${rowNumber}
    WHERE p.operation = 'u' AND ${samePlace} AND (SELECT rows FROM deleted) >= 0`
}

function insertStatement({ table, columns, archive, plan }: MergeTable): string {
  return `INSERT INTO ${table.relation} (${quoteColumns(columns)}) OVERRIDING SYSTEM VALUE
    SELECT ${quoteColumns(columns, 'a')} FROM ${plan} p JOIN ${archive} a ON a.${rowNumber} = p.${rowNumber}
    WHERE p.operation = 'i'`
}

/** The organization's own users went on writing: what was planned is not what is there any more. */
export class ChangedMeanwhile extends AppError {
  constructor(what: string) {
    super('RESTORE_CONFLICT', 'changed-meanwhile', `The organization's data changed during the restore: ${what}.`, {
      remedy: "Stop the organization's own use of the application for the moment, then restore again."
    })
  }
}

/**
 * A constraint that says no (SQLSTATE class 23), an expression that fails (22, P0) or a concurrent change is a
 * conflict; its name is told, its values are not.
 */
export function conflictError(error: unknown): unknown {
  const {
    code,
    constraint_name: constraint,
    column_name: column,
    table_name: name = 'unknown',
    schema_name: schema = 'unknown'
  } = error as Record<string, string | undefined>
  if (error instanceof AppError || code === undefined) return error
  if (code.startsWith('23')) {
    const table = labelOf({ schema, name })
    const message = `${table} refuses the backup's rows${constraint !== undefined ? ` by ${constraint}` : column !== undefined ? ` by NOT NULL of ${column}` : ''}`
    return new AppError(
      'RESTORE_CONFLICT',
      'conflicts-with-live',
      'The backup contradicts what the database holds now.',
      {
        errors: [{ field: table, reason: 'constraint', message }],
        cause: error
      }
    )
  }
  if (/^(?:22|P0)/.test(code)) {
    return new AppError(
      'RESTORE_CONFLICT',
      'expression-fails',
      `An expression of the database (a CHECK, an index, a generated column) fails on the backup's rows (${code}).`,
      {
        remedy:
          "Have a developer look at the expressions of the tables that the backup holds; the service log has PostgreSQL's message. Then restore again.",
        cause: error
      }
    )
  }
  if (code === '40P01' || code === '40001' || code === '55P03') {
    return new AppError('DATABASE_BUSY', 'write-conflict', 'Other sessions hold or change what the restore needs.', {
      remedy: 'Wait until their transactions have ended, then try again.',
      cause: error
    })
  }
  return error
}
