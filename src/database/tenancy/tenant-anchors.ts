import type { Catalog, ForeignKey } from './tenant-catalog.js'
import type { Declaration } from './tenant-declarations.js'

/** The first key of a table's way to the root, and what the whole way costs. */
export interface Anchor {
  key: ForeignKey
  nullable: number
  length: number
}

/**
 * The best way of each table to the root: fewest keys that can be null, then fewest keys, then a first key that can't
 * be null, then names, so that the same schema always gives the same graph. Each key on the way makes it worse, so
 * cycles end.
 */
export function findAnchors(catalog: Catalog, root: number, declared: Map<number, Declaration>): Map<number, Anchor> {
  const evidence = catalog.keys.filter(
    key =>
      key.validated && !key.onPartition && key.table !== key.target && key.table !== root && !declared.has(key.table)
  )
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

function compareAnchors(one: Anchor, other: Anchor): number {
  const names = ({ key }: Anchor): string => `${key.name}\0${key.targetRelation}`
  return (
    one.nullable - other.nullable ||
    one.length - other.length ||
    Number(other.key.notNull) - Number(one.key.notNull) ||
    (names(one) < names(other) ? -1 : names(one) > names(other) ? 1 : 0)
  )
}

/** All keys of the way. */
export function followAnchors(table: number, anchors: Map<number, Anchor>): ForeignKey[] {
  const path: ForeignKey[] = []
  for (let anchor = anchors.get(table); anchor !== undefined; anchor = anchors.get(anchor.key.target))
    path.push(anchor.key)
  return path
}
