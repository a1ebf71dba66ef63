/**
 * Of one kind. More would make the archive's metadata longer than a reader takes: a path alone can have 24 KB in JSON.
 */
const mostNamed = 100

export interface FileWarnings {
  /** @param kind a sentence with {} in the place of the path */
  add(kind: string, path: string): void
  /** At the end, of each kind that was added very often, how many are not named. */
  list(): string[]
}

/** Warnings about single files and folders, which there can be a million of. */
export function createFileWarnings(): FileWarnings {
  const named: string[] = []
  const counts = new Map<string, number>()
  const tell = (kind: string, what: string): string => kind.replace('{}', () => what)

  return {
    add(kind, path) {
      const count = (counts.get(kind) ?? 0) + 1
      counts.set(kind, count)
      if (count <= mostNamed) named.push(tell(kind, path))
    },
    list: () => [
      ...named,
      ...[...counts]
        .filter(([, count]) => count > mostNamed)
        .map(([kind, count]) => tell(kind, `${count - mostNamed} more`))
    ]
  }
}
