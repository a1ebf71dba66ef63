import type { Core } from '../core.js'
import { byAge, listJournals, readJournal, type Begin, type Line } from './journal.js'
import type { RestoreSummary } from './report.js'
import { summaryOf } from './restore-state.js'

/** The organization's restores, newest first. @throws AppError REPOSITORY_UNAVAILABLE */
export async function listRestores ({ repository }: Core, organizationId: string): Promise<RestoreSummary[]> {
  const folder = await repository.journalFolder(organizationId)
  const found: Line[][] = []
  for (const restoreId of await listJournals(folder)) {
    const lines = await readJournal(folder, restoreId)
    if (lines.length > 0) found.push(lines)
  }
  const summaries = found.sort((a, b) => byAge(b[0] as Begin, a[0] as Begin)).map(summaryOf)
  // An older checkpoint is dropped after the answer of the restore that takes its place, and may still be there.
  const newest = summaries.find(({ undoable }) => undoable)
  return summaries.map(summary => summary === newest ? summary : { ...summary, undoable: false })
}
