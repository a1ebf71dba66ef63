import type { Sql } from 'postgres'
import { databaseError, type Connection } from './connection/connection.js'
import { quoteIdentifier } from './identifiers.js'
import { withMaintenance } from './maintenance.js'
import { databasesInUse, endSessions } from './sessions.js'

export interface Rename { from: string, to: string }

const terminateEveryMs = 20

/**
 * Renames databases in one transaction: all of them or none, also through a crash of anybody. Sessions in them are ended
 * meanwhile, since RENAME waits five seconds for them and then gives up; new ones queue until the commit.
 * @returns milliseconds from the first ended session to the commit: how long clients were shut out
 * @throws AppError DATABASE_BUSY naming who could not be ended
 */
export async function renameDatabases (connection: Connection, renames: readonly Rename[]): Promise<number> {
  const names = renames.map(({ from }) => from)
  try {
    return await withMaintenance(connection, async renamer =>
      await withMaintenance(connection, async terminator => {
        const started = performance.now()
        const renaming = renamer.begin(async transaction => {
          for (const { from, to } of renames) {
            await transaction.unsafe(`ALTER DATABASE ${quoteIdentifier(from)} RENAME TO ${quoteIdentifier(to)}`)
          }
        })
        await terminateUntil(terminator, names, renaming)
        await renaming
        return Math.round(performance.now() - started)
      }))
  } catch (error) {
    if ((error as { code?: unknown }).code !== '55006') throw databaseError(error)
    throw await withMaintenance(connection, async sql => await databasesInUse(sql, names, 'The databases could not be exchanged', error))
  }
}

async function terminateUntil (sql: Sql, names: readonly string[], renaming: Promise<unknown>): Promise<void> {
  let over = false
  const settled = renaming.then(() => { over = true }, () => { over = true })
  while (!over) {
    await endSessions(sql, names)
    await Promise.race([settled, new Promise(resolve => setTimeout(resolve, terminateEveryMs))])
  }
}
