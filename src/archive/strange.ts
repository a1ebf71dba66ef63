import type { Turn } from '../io/turns.js'
import type { ArchiveEntry } from './entry-table.js'
import { invalid, printable } from './refusal.js'

/** No ordinary data deflate to less; those of our own archives are taken as they are. */
const mostTimes = 200
const alwaysFine = 1 << 30

/**
 * What our own service may have had reason to write, and what is more likely made to do harm in an archive that it has
 * not signed: names that are one on a file system without case or Unicode forms, and data that unpack to very much
 * more.
 * @throws AppError ARCHIVE_INVALID
 */
export async function refuseStrange(
  entries: readonly ArchiveEntry[],
  names: ReadonlyMap<string, unknown>,
  archiveBytes: number,
  turn: Turn
): Promise<void> {
  // Of those that folding changes: with the others they are compared by name.
  const seen = new Set<string>()
  let bytes = 0
  for (const { name, size } of entries) {
    if (turn.isOver()) await turn.next()
    bytes += size
    const folded = name.normalize('NFC').toUpperCase().toLowerCase()
    if (folded === name) continue
    if (seen.has(folded) || names.has(folded))
      throw invalid('names-differ-by-case', `${printable(name)} differs from another name in case only`)
    seen.add(folded)
  }
  if (bytes > alwaysFine && bytes > archiveBytes * mostTimes)
    throw invalid('unpacks-too-large', `it unpacks to more than ${mostTimes} times its size`)
}
