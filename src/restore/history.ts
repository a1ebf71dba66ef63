import type { Core } from '../core.js'
import { listJournals, readJournal } from './journal.js'
import type { RestoreSummary } from './report.js'
import { summaryOf } from './restore-state.js'

/** The organization's restores, newest first. @throws AppError REPOSITORY_UNAVAILABLE */
export async function listRestores ({ repository }: Core, organizationId: string): Promise<RestoreSummary[]> {
  const folder = await repository.journalFolder(organizationId)
  const summaries: RestoreSummary[] = []
  for (const restoreId of await listJournals(folder)) {
    const lines = await readJournal(folder, restoreId)
    if (lines.length > 0) summaries.push(summaryOf(lines))
  }
  return summaries.sort((a, b) => a.startedAt < b.startedAt ? 1 : -1)
}
