import { setTimeout } from 'node:timers/promises'
import type { Sql } from 'postgres'
import { databaseError, type Connection } from './connection/connection.js'
import { quoteIdentifier } from './identifiers.js'
import { withMaintenance } from './maintenance.js'
import { cannotEnd, databasesInUse, describeSession, endSessions, lastingSessions, type Session } from './sessions.js'

export interface Rename {
  from: string
  to: string
}

const terminateEveryMs = 20
/** As long as RENAME waits for sessions to end (CountOtherDBBackends in procarray.c). */
const waitMs = 5_000
const lookEveryMs = 200
const what = 'The databases could not be exchanged'

/**
 * Before the databases are exchanged, so that a dry run knows too: that every session of the live one can be ended, or
 * ends by itself in the time that the exchange would wait. Later sessions are no matter: the exchange keeps them out.
 * @throws AppError DATABASE_BUSY naming who can't be ended
 */
export async function requireEndable(connection: Connection, database: string): Promise<void> {
  try {
    await withMaintenance(connection, async sql => {
      let first: Session[] | undefined
      for (const started = performance.now(); ; await setTimeout(lookEveryMs)) {
        const now = await lastingSessions(sql, database)
        first ??= now
        const sessions = now.filter(({ pid }) => first?.some(session => session.pid === pid))
        if (sessions.length === 0) return
        if (performance.now() - started > waitMs) throw cannotEnd(what, sessions.map(describeSession).join(', '))
      }
    })
  } catch (error) {
    throw databaseError(error)
  }
}

/**
 * Renames databases in one transaction: all of them or none, also through a crash of any program. Sessions in them are
 * ended meanwhile, since RENAME waits five seconds for them and then gives up; new ones queue until the commit.
 * @returns milliseconds from the first ended session to the commit: how long clients were shut out
 * @throws AppError DATABASE_BUSY naming who could not be ended
 */
export async function renameDatabases(connection: Connection, renames: readonly Rename[]): Promise<number> {
  const names = renames.map(({ from }) => from)
  try {
    return await withMaintenance(
      connection,
      async renamer =>
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
        })
    )
  } catch (error) {
    if ((error as { code?: unknown }).code !== '55006') throw databaseError(error)
    throw await withMaintenance(connection, async sql => await databasesInUse(sql, names, what, error))
  }
}

async function terminateUntil(sql: Sql, names: readonly string[], renaming: Promise<unknown>): Promise<void> {
  let over = false
  const settled = renaming.then(
    () => {
      over = true
    },
    () => {
      over = true
    }
  )
  while (!over) {
    await endSessions(sql, names)
    await Promise.race([settled, setTimeout(terminateEveryMs)])
  }
}
