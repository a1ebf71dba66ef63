import type { Core } from '../core.js'
import { absentIsNull } from '../io/absent.js'
import { requireUuid } from '../io/safe-path.js'
import { decodeCursor, encodeCursor } from '../repository/cursor.js'
import { listEnded, type EndedJournal } from './ended-journals.js'
import { byAge, listJournals, readEnded, readJournal, type Begin, type Line } from './journal.js'
import type { RestoreSummary } from './report.js'
import { summaryOf } from './restore-state.js'

export interface Page {
  limit: number
  cursor?: string
}

/**
 * The organization's restores, newest first: those that something may still be added to, and of the others those of the
 * page.
 * @returns `next`, the cursor of the next page, null on the last
 * @throws AppError REPOSITORY_UNAVAILABLE, BAD_REQUEST for a cursor that this service has not given
 */
export async function listRestores(
  { repository }: Core,
  organizationId: string,
  { limit, cursor }: Page
): Promise<{ restores: RestoreSummary[]; next: string | null }> {
  const folder = await repository.journalFolder(organizationId)
  const open = await openRestores(folder)
  const before = cursor === undefined ? null : placeOf(cursor)
  const known = new Set(open.map(({ restoreId }) => restoreId))
  // After the others, since one that is put aside meanwhile is found here then.
  const ended = (await listEnded(folder)).filter(({ restoreId }) => !known.has(restoreId))
  const places: Array<Place & { of: RestoreSummary | EndedJournal }> = [
    ...open.map(({ number, restoreId, summary }) => ({ number, restoreId, of: summary })),
    ...ended.map(journal => ({ number: journal.number, restoreId: journal.restoreId, of: journal }))
  ]
  // Those of one number, of a release that did not count, stay as they are.
  const following = places
    .sort((a, b) => b.number - a.number)
    .filter(place => before === null || isAfter(place, before, places))
  const page = following.slice(0, limit)
  const restores: RestoreSummary[] = []
  for (const { of } of page) {
    const summary = 'name' in of ? await summaryOfEnded(folder, of.name) : of
    if (summary !== null) restores.push(summary)
  }
  const last = page.at(-1)
  return {
    restores,
    next: last === undefined || following.length === page.length ? null : encodeCursor(last.number, last.restoreId)
  }
}

/** The one restore that can be undone, null when there is none. */
export async function undoableRestore({ repository }: Core, organizationId: string): Promise<RestoreSummary | null> {
  return (
    (await openRestores(await repository.journalFolder(organizationId))).find(({ summary }) => summary.undoable)
      ?.summary ?? null
  )
}

/** Null when the organization has no such restore. */
export async function findRestore(
  { repository }: Core,
  organizationId: string,
  restoreId: string
): Promise<RestoreSummary | null> {
  requireUuid(restoreId)
  const folder = await repository.journalFolder(organizationId)
  const open = (await openRestores(folder)).find(known => known.restoreId === restoreId)
  if (open !== undefined) return open.summary
  const ended = (await listEnded(folder)).find(known => known.restoreId === restoreId)
  return ended === undefined ? null : await summaryOfEnded(folder, ended.name)
}

/** Null when it was forgotten meanwhile, or is damaged. */
async function summaryOfEnded(folder: string, name: string): Promise<RestoreSummary | null> {
  const lines = await absentIsNull(readEnded(folder, name))
  return lines === null || lines.length === 0 ? null : summaryOf(lines)
}

interface Place {
  number: number
  restoreId: string
}

/** Newest first. */
async function openRestores(folder: string): Promise<Array<Place & { summary: RestoreSummary }>> {
  const found: Line[][] = []
  for (const restoreId of await listJournals(folder)) {
    // It may be put aside meanwhile.
    const lines = await absentIsNull(readJournal(folder, restoreId))
    if (lines !== null && lines.length > 0) found.push(lines)
  }
  const begins = found
    .sort((a, b) => byAge(b[0] as Begin, a[0] as Begin))
    .map(lines => ({ begin: lines[0] as Begin, summary: summaryOf(lines) }))
  // An older checkpoint is dropped after the answer of the restore that takes its place, and may still be there.
  const newest = begins.find(({ summary }) => summary.undoable)
  return begins.map(known => ({
    number: known.begin.number ?? 0,
    restoreId: known.begin.restoreId,
    summary: known === newest ? known.summary : { ...known.summary, undoable: false }
  }))
}

function placeOf(cursor: string): Place {
  const [number, restoreId = ''] = decodeCursor(cursor, /^(\d{1,10}) ([0-9a-f-]{36})$/)
  return { number: Number(number), restoreId }
}

/** A restore that was forgotten since still has its place, by its number. */
function isAfter(place: Place, { number, restoreId }: Place, places: readonly Place[]): boolean {
  if (place.number !== number) return place.number < number
  const at = places.findIndex(known => known.restoreId === restoreId)
  return at !== -1 && places.indexOf(place) > at
}
