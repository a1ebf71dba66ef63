import type { Connection } from '../database/connection/connection.js'
import type { DatabaseDetails } from '../database/database-details.js'
import { limitsFor, withinLimits } from '../database/load/load-limits.js'
import { createScratch, type ScratchNames } from '../database/load/scratch.js'
import { verifyLoad } from '../database/load/verify-load.js'
import type { DatabaseInput } from './database-participant.js'
import { settingsToLoad } from './load-settings.js'
import type { LoadArchived } from './load-thread.js'
import { fitsOneTransaction } from './shortfalls.js'

export type BesideInput = Pick<DatabaseInput, 'archive' | 'dump' | 'tools' | 'server' | 'onBytes' | 'loadTimeoutMs'>

/**
 * Loads one organization's dump into a scratch database and compares the number of rows with the metadata. The caller
 * drops the database, also after a failure.
 * @returns the scratch database as the role that loaded it, and warnings
 * @throws AppError DUMP_INVALID, LOAD_LIMIT_EXCEEDED, DATABASE_UNAVAILABLE, DISK_FULL
 */
export async function loadBeside(
  connection: Connection,
  names: ScratchNames,
  input: BesideInput,
  load: LoadArchived,
  signal: AbortSignal
): Promise<{ scratch: Connection; warnings: string[] }> {
  const { archive, dump, tools, server, onBytes, loadTimeoutMs } = input
  const { metadata, trusted } = archive
  const details = metadata.database as DatabaseDetails
  const limits = limitsFor(details.sizeBytes, { dumpBytes: dump.size, trusted, timeoutMs: loadTimeoutMs })
  const { loader, warnings } = await createScratch(connection, names, details, limits.maxBytes)
  const scratch = { ...connection, database: names.database, ...loader }
  const { warnings: refused, ...settings } = await settingsToLoad(connection, archive, names.database)
  await withinLimits(
    connection,
    names.database,
    limits,
    signal,
    async signal =>
      await load(connection, tools, {
        archive,
        dump,
        onBytes,
        database: names.database,
        loader,
        hasDefaultPrivileges: details.defaultPrivileges.length > 0,
        inOneTransaction: fitsOneTransaction(metadata, server),
        settings,
        signal
      })
  )
  await verifyLoad(scratch, details, metadata.tables, signal)
  return { scratch, warnings: [...warnings, ...refused] }
}
