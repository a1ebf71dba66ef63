import { createHash } from 'node:crypto'
import { open, readdir, readFile, rm, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '../errors.js'
import { absentIsNull } from '../io/absent.js'
import { fileError, syncFolder } from '../io/durable.js'
import { isUuid } from '../io/safe-path.js'
import { listEnded } from './ended-journals.js'
import type { ScratchNames } from '../database/load/scratch.js'
import type { RestoreReport } from './report.js'

/** Names of what a swap makes and moves. */
export interface SwapNames {
  live: string
  scratch: string
  checkpoint: string
  loader: string
}

/**
 * Names of what a merge makes: for the archive, and for the trial of its checkpoint (not in journals of earlier
 * releases).
 */
export interface MergeNames {
  mode: 'merge'
  scratch: string
  loader: string
  trial?: ScratchNames
}

/** What a restore will change, written down before anything is changed. */
export interface Begin {
  step: 'begin'
  at: string
  /**
   * Counts the organization's restores, since a clock can be set back; one of a release that did not count is before
   * all.
   */
  number?: number
  restoreId: string
  backupId: string
  organizationId: string
  startedBy: string
  dryRun: boolean
  /** Keep the state before the restore, so that it can be undone. */
  keepCheckpoint: boolean
  /** An ordinary backup made first, where the checkpoint can't be the renamed database itself. */
  checkpointBackupId: string | null
  database: ({ mode: 'swap' } & SwapNames) | { mode: 'in-place' } | MergeNames | null
  files: boolean
  /** The organization's upload folder is a mount of its own. */
  mounted?: boolean
}

/**
 * `commit` and `undo` are the points of no return, `rollback` is the decision to go back; whichever stands last
 * decides. `settled` says that nothing is left to tidy up after `done`, or after another end with a `leftover`; from
 * `release` on the checkpoint is no more to be used. PROTOCOL.md has the states and what happens after a crash in each.
 */
export type Line =
  | Begin
  | { step: 'fact'; at: string; facts: Facts }
  | {
      step: 'commit' | 'rollback' | 'rolled-back' | 'settled' | 'undo' | 'undone' | 'release' | 'released'
      at: string
      reason?: string
      leftover?: true
    }
  | { step: 'prepared'; at: string; report: RestoreReport }
  | { step: 'done'; at: string; report: RestoreReport }
  | { step: 'rehearsed'; at: string; report: RestoreReport; leftover?: true }

/** What participants learn on the way and need after a crash. */
export interface Facts {
  /** OID of the database under the live name before the restore; null when there was none. */
  liveOid?: string | null
  scratchOid?: string
}

type Unstamped<T> = T extends Line ? Omit<T, 'at'> : never

export interface Journal {
  readonly begin: Begin
  readonly lines: readonly Line[]
  facts(): Facts
  /** Durable when it returns. @throws AppError RESTORE_UNFINISHED when it can't be told what is on the disk now */
  append(line: Unstamped<Exclude<Line, Begin>>): Promise<void>
  note(facts: Facts): Promise<void>
  close(): Promise<void>
}

/** @throws AppError REPOSITORY_UNAVAILABLE, DISK_FULL */
export async function createJournal(folder: string, begin: Omit<Begin, 'at' | 'step' | 'number'>): Promise<Journal> {
  try {
    const number = await nextNumber(folder)
    const handle = await open(join(folder, `${begin.restoreId}.journal`), 'ax', 0o600)
    try {
      const journal = writable(handle, [], 0)
      await journal.appendLine({ step: 'begin', at: now(), number, ...begin })
      await syncFolder(folder)
      return journal
    } catch (error) {
      await handle.close()
      await removeJournal(folder, begin.restoreId)
      throw error
    }
  } catch (error) {
    throw fileError(error, 'REPOSITORY_UNAVAILABLE', 'Writing the restore journal to BACKUP_DIR')
  }
}

async function nextNumber(folder: string): Promise<number> {
  let latest = (await listEnded(folder))[0]?.number ?? 0
  for (const restoreId of await listJournals(folder)) {
    const [begin] = await readJournal(folder, restoreId)
    if (begin?.step === 'begin') latest = Math.max(latest, begin.number ?? 0)
  }
  return latest + 1
}

/** In the order in which the restores began. */
export function byAge(a: Begin, b: Begin): number {
  return (a.number ?? 0) - (b.number ?? 0) || (a.at < b.at ? -1 : 1)
}

/**
 * Opens a journal to go on with it. What a crash tore off at its end is cut off first, so that the next line is whole.
 * @returns null when not even the first line is whole
 * @throws AppError JOURNAL_DAMAGED when a line before the last is damaged: no crash does that, and what stood
 * there can't be guessed
 */
export async function openJournal(folder: string, restoreId: string): Promise<Journal | null> {
  const path = join(folder, `${restoreId}.journal`)
  const content = await readFile(path)
  const { lines, bytes } = parse(content)
  if (hasLineAfter(content, bytes)) {
    throw new AppError('JOURNAL_DAMAGED', 'journal-damaged', `The journal of the restore ${restoreId} is damaged.`, {
      remedy: `Bring back a good copy of ${restoreId}.journal in BACKUP_DIR, or move it away once you have seen that the database and the uploaded files are in order.`
    })
  }
  if (lines[0]?.step !== 'begin') return null
  const handle = await open(path, 'r+')
  if (bytes < content.length) {
    await handle.truncate(bytes)
    await handle.sync()
  }
  await handle.close()
  return writable(await open(path, 'a'), lines, bytes)
}

/** The lines of a journal that was put aside, by its name in `folder`. */
export async function readEnded(folder: string, name: string): Promise<Line[]> {
  return parse(await readFile(join(folder, name))).lines
}

/** The lines of a journal, to look at; empty when not even the first is whole. */
export async function readJournal(folder: string, restoreId: string): Promise<Line[]> {
  return parse(await readFile(join(folder, `${restoreId}.journal`))).lines
}

/** Ids of the restores whose journal something may still be added to; a folder that is not there has none. */
export async function listJournals(folder: string): Promise<string[]> {
  const names = (await absentIsNull(readdir(folder, { withFileTypes: true }))) ?? []
  return names
    .filter(entry => entry.isFile() && entry.name.endsWith('.journal'))
    .map(({ name }) => name.slice(0, -'.journal'.length))
    .filter(isUuid)
}

export async function removeJournal(folder: string, restoreId: string): Promise<void> {
  await rm(join(folder, `${restoreId}.journal`), { force: true })
  await syncFolder(folder)
}

function writable(
  handle: FileHandle,
  lines: Line[],
  length: number
): Journal & { appendLine: (line: Line) => Promise<void> } {
  async function appendLine(line: Line): Promise<void> {
    const text = JSON.stringify(line)
    const bytes = Buffer.from(`${checksum(text)} ${text}\n`)
    try {
      await handle.appendFile(bytes)
      await handle.sync()
    } catch (error) {
      await takeBack(error)
      throw fileError(error, 'REPOSITORY_UNAVAILABLE', 'Writing the restore journal to BACKUP_DIR')
    }
    length += bytes.length
    lines.push(line)
  }

  /** A line that failed must not be found later, whole or torn. */
  async function takeBack(cause: unknown): Promise<void> {
    try {
      await handle.truncate(length)
      await handle.sync()
    } catch {
      throw new AppError(
        'RESTORE_UNFINISHED',
        'journal-not-writable',
        "The restore journal can't be written any more, so the restore stopped where it was.",
        { cause }
      )
    }
  }

  return {
    lines,
    appendLine,
    get begin() {
      return lines[0] as Begin
    },
    facts: () => Object.assign({}, ...lines.map(line => (line.step === 'fact' ? line.facts : {}))) as Facts,
    append: async line => await appendLine({ at: now(), ...line }),
    note: async facts => await appendLine({ step: 'fact', at: now(), facts }),
    close: async () => await handle.close()
  }
}

/** Whole lines up to the first that is torn or altered: `<first 16 hex digits of SHA-256> <JSON>`. */
function parse(content: Buffer): { lines: Line[]; bytes: number } {
  const lines: Line[] = []
  let bytes = 0
  for (;;) {
    const end = content.indexOf('\n', bytes)
    if (end === -1) return { lines, bytes }
    const text = textOf(content.subarray(bytes, end))
    if (text === null) return { lines, bytes }
    lines.push(JSON.parse(text) as Line)
    bytes = end + 1
  }
}

/** A line is durable before the next is written, so a crash can tear the last one only. */
function hasLineAfter(content: Buffer, bytes: number): boolean {
  for (let start = content.indexOf('\n', bytes) + 1; start > 0; start = content.indexOf('\n', start) + 1) {
    const end = content.indexOf('\n', start)
    if (end !== -1 && textOf(content.subarray(start, end)) !== null) return true
  }
  return false
}

/** The JSON of a line, or null when it is not what was written. */
function textOf(line: Buffer): string | null {
  const text = line.subarray(17).toString()
  return line.subarray(0, 17).toString() === `${checksum(text)} ` ? text : null
}

function checksum(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}

function now(): string {
  return new Date().toISOString()
}
