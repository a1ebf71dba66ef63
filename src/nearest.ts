/** Changes of one character that a slip of the pen may be; of a short name, fewer. */
const slips = (name: string): number => (name.length < 8 ? 1 : 2)

/**
 * The known name that was probably meant: after case and a slip or two, or where the given name has its last word
 * shorter or longer (`BACKUP_DIRECTORY`, `SMB_USER`). Null for a name that is just another one.
 */
export function nearestName(given: string, known: readonly string[]): string | null {
  const asked = given.toUpperCase()
  const [best] = known
    .map(name => ({ name, distance: isEnding(asked, name) || isEnding(name, asked) ? 1 : distanceOf(asked, name) }))
    .filter(({ name, distance }) => distance <= slips(name))
    .sort((a, b) => a.distance - b.distance)
  return best?.name ?? null
}

/** Whether `longer` is `shorter` with more letters in its last word. */
function isEnding(longer: string, shorter: string): boolean {
  return shorter.length >= 8 && longer.startsWith(shorter) && /^[A-Z]+$/.test(longer.slice(shorter.length))
}

/**
 * How many characters must be added, removed, replaced or exchanged with their neighbour (optimal string alignment).
 */
function distanceOf(a: string, b: string): number {
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let row = 1; row <= a.length; row++) {
    const next = [row]
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1]
      const exchanged = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      next.push(
        Math.min(
          last[column]! + 1,
          next[column - 1]! + 1,
          last[column - 1]! + (same ? 0 : 1),
          exchanged ? before[column - 2]! + 1 : Infinity
        )
      )
    }
    before = last
    last = next
  }
  return last[b.length]!
}
