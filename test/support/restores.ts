import type { Core } from '../../src/core.js'
import { listEnded } from '../../src/restore/ended-journals.js'
import { listRestores } from '../../src/restore/history.js'
import { listJournals, readEnded, readJournal, type Line } from '../../src/restore/journal.js'
import type { RestoreSummary } from '../../src/restore/report.js'

/** The organization's restores, newest first, as pages of a hundred tell them. */
export async function restoresOf(core: Core, organizationId: string): Promise<RestoreSummary[]> {
  const found: RestoreSummary[] = []
  for (let cursor: string | undefined; ;) {
    const { restores, next } = await listRestores(core, organizationId, {
      limit: 100,
      ...(cursor === undefined ? {} : { cursor })
    })
    found.push(...restores)
    if (next === null) return found
    cursor = next
  }
}

/**
 * The lines of each, by the restores' ids: those that something may still be added to, and those that were put aside.
 */
export async function everyJournal(core: Core, organizationId: string): Promise<Line[][]> {
  const folder = await core.repository.journalFolder(organizationId)
  const found = new Map<string, Line[]>()
  for (const restoreId of await listJournals(folder)) found.set(restoreId, await readJournal(folder, restoreId))
  for (const { restoreId, name } of await listEnded(folder)) found.set(restoreId, await readEnded(folder, name))
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, lines]) => lines)
}
