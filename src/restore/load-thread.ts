import type { ArchiveEntry } from '../archive/entry-table.js'
import type { Archive } from '../archive/reader.js'
import type { Connection } from '../database/connection/connection.js'
import type { Load } from '../database/load/load-dump.js'
import type { PostgresTools } from '../database/postgres-tools.js'
import { openLane, type Lane } from '../io/lane.js'
import type { LoadReply, LoadTask } from './load-protocol.js'

export interface ArchivedLoad extends Omit<Load, 'sql' | 'again'> {
  archive: Archive
  dump: ArchiveEntry
  /** Told the compressed bytes as they are read. */
  onBytes: (bytes: number) => void
}

/** @throws what loadDump and readDump throw */
export type LoadArchived = (connection: Connection, tools: PostgresTools, request: ArchivedLoad) => Promise<void>

/**
 * Hands `use` a thread that loads a dump. It takes a tenth of a second to start, in which other things can be prepared.
 */
export async function withLoadThread<Result>(use: (load: LoadArchived) => Promise<Result>): Promise<Result> {
  const lane = openLane<LoadTask, LoadReply>('./load-worker', import.meta.url, null)
  try {
    return await use(async (connection, tools, request) => {
      await loadIn(lane, connection, tools, request)
    })
  } finally {
    await lane.close()
  }
}

async function loadIn(
  lane: Lane<LoadTask, LoadReply>,
  connection: Connection,
  tools: PostgresTools,
  { archive, dump, onBytes, signal, ...load }: ArchivedLoad
): Promise<void> {
  signal.throwIfAborted()
  lane.post({
    kind: 'load',
    connection,
    tools,
    load,
    descriptor: archive.descriptor,
    dump: archive.locate(dump),
    trusted: archive.trusted
  })
  const stop = (): void => {
    lane.post({ kind: 'stop' })
  }
  signal.addEventListener('abort', stop)
  try {
    for (;;) {
      const reply = await lane.next()
      if (reply.kind === 'loaded') return
      onBytes(reply.bytes)
    }
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
