import { canBeReplaced, type MergeTable } from './drift.js'
import type { ForeignKey } from '../tenancy/tenant-catalog.js'

/** FROM: the archived rows that have the key. On one partition alone it says nothing about the others' rows. */
export function keyedRows(child: MergeTable, { condition }: ForeignKey): string {
  return rowsWhere(child, condition)
}

/** FROM: the archived rows that the key can lead to. */
export function targetRows(parent: MergeTable, { targetCondition }: ForeignKey): string {
  return rowsWhere(parent, targetCondition)
}

/**
 * Without all of the columns a partition can't be told, so it is all rows then: rather refused than restored in part.
 */
function rowsWhere(merged: MergeTable, condition: string | null): string {
  return condition === null || !canBeReplaced(merged)
    ? merged.archive
    : `(SELECT * FROM ${merged.archive} WHERE ${condition})`
}
