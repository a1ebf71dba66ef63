import type postgres from 'postgres'
import { systemCode } from '../../errors.js'
import { databaseError } from '../connection/database-error.js'
import { ChangedMeanwhile } from './apply.js'

/** How long each statement of a rehearsal may keep others waiting, and how long it waits for them. */
const limitMs = 5_000
const lockWaitMs = 2_000

/**
 * Makes the changes and ends the transaction without them. Others wait as they would for the restore itself, but for a
 * bounded time.
 * @returns warnings, where it could not be led to its end
 */
export async function rehearseChanges(session: postgres.ReservedSql, change: () => Promise<void>): Promise<string[]> {
  try {
    await session.unsafe(`SET LOCAL lock_timeout = ${lockWaitMs}; SET LOCAL statement_timeout = ${limitMs}`)
    await change()
    await session.unsafe('ROLLBACK')
    return []
  } catch (error) {
    // A lost session has rolled back, and postgres.js 3.4.9 may never answer a query that follows its error.
    if (databaseError(error).code === 'DATABASE_UNAVAILABLE') throw error
    await session.unsafe('ROLLBACK').catch(() => {})
    if (error instanceof ChangedMeanwhile) {
      return [
        "The organization's data changed during the dry run, so the last step was not tried to its end. A restore is refused then: stop the organization's own use of the application before it."
      ]
    }
    if (systemCode(error) !== '57014') throw error
    return [
      `The last step takes longer than ${limitMs / 1000} s, for which a dry run does not keep others waiting. It was not tried to its end, so a restore can still be refused there.`
    ]
  }
}
