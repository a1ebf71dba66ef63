/**
 * What work has to itself while it runs. `exclusive`: no other work may hold the resource at the same time; `shared`:
 * others may that share it too.
 */
export interface Resource {
  name: string
  mode: 'shared' | 'exclusive'
}

/** Rows, files and backups of one organization. */
export function organization(id: string): Resource {
  return { name: `organization:${id}`, mode: 'exclusive' }
}

/** Every job shares the database, even if it only reads a file: one that replaces it runs alone. */
export function database(mode: Resource['mode']): Resource {
  return { name: 'database', mode }
}

/** One of the places for work that needs processor and disk; how many there are is the queue's setting. */
export const place: Resource = { name: 'place', mode: 'shared' }

/** The first resource of `needed` that `held` stands in the way of. */
export function conflictOf(needed: readonly Resource[], held: readonly Resource[]): Resource | undefined {
  return needed.find(({ name, mode }) =>
    held.some(other => other.name === name && (mode === 'exclusive' || other.mode === 'exclusive'))
  )
}
