import { quoteColumns, quoteIdentifier } from '../identifiers.js'
import { changeOf, rowText, type TableChange } from './diff.js'
import { updatedColumns, type MergeTable } from './drift.js'
import { targetRows } from './keyed-rows.js'
import { rowNumber } from './load.js'
import type { ForeignKey } from '../tenancy/tenant-catalog.js'

/**
 * The query of the values that rows can't lead to by a key while the first statement of the merge runs (apply.ts):
 * - what a row of the parent table loses to an action of the key. The action strikes every row that leads there when it
 *   fires, those that the statement has written too, whether another row has the value by then or not;
 * - what comes back later, with the second statement;
 * - and what no row has in the end. `comesBack` tells that apart.
 * null: the plan takes no such value away.
 */
export function lostValues(parent: MergeTable, key: ForeignKey, changes: readonly TableChange[]): string | null {
  const { plan, archive, columns } = parent
  const { removed, changed } = changeOf(changes, parent)
  const isKnown = key.references.every(column => columns.includes(column))
  const updated = changed > 0 ? key.references.filter(column => updatedColumns(parent).includes(column)) : []
  if (removed === 0 && updated.length === 0) return null
  const values = (alias: string): string => quoteColumns(key.references, alias)
  const equal = key.references
    .map(column => `h.${quoteIdentifier(column)} = l.${quoteIdentifier(column)}`)
    .join(' AND ')
  const leaves =
    updated.length === 0
      ? "p.operation = 'd'"
      : `(p.operation = 'd' OR (p.operation = 'u' AND ${rowText(updated, 'l')} <> ${rowText(updated, 'a')}))`
  const acts = [...(key.deleteActs ? ["p.operation = 'd'"] : []), ...(key.updateActs ? ["p.operation = 'u'"] : [])]
  const held = isKnown ? `h.${rowNumber} IS NOT NULL` : 'false'
  return `(SELECT ${values('l')}, ${held} AS "comes back"
    FROM ${plan} p JOIN ${key.targetRelation} l ON l.tableoid = p.relation AND l.ctid = p.place
      LEFT JOIN ${archive} a ON a.${rowNumber} = p.${rowNumber}${isKnown ? ` LEFT JOIN ${targetRows(parent, key)} h ON ${equal}` : ''}
    WHERE ${leaves} AND (${[...acts, `NOT ${held}`].join(' OR ')})${
      isKnown
        ? `
    UNION SELECT ${values('h')}, true FROM ${targetRows(parent, key)} h JOIN ${plan} p ON p.${rowNumber} = h.${rowNumber} AND p.later`
        : ''
    })`
}
