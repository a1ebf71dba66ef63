import type { Connection } from '../database/connection/connection.js'
import { commitOnce, hasMarker } from '../database/load/marker.js'
import { AppError } from '../errors.js'
import type { Participant } from './participant.js'

/** A transaction of the live database that holds the new state. */
export interface OpenTransaction {
  commit(): Promise<void>
  rollback(): Promise<void>
}

/**
 * How a participant ends whose new state is an open transaction of the live database. What it has committed can't be
 * taken back, and a marker row of that transaction tells after a crash whether it has.
 * @param opened the transaction; null when there is none (any more)
 * @param isAfterCrash whether another process may have committed it
 */
export function endInsideLive(
  connection: Connection,
  restoreId: string,
  isAfterCrash: boolean,
  opened: () => OpenTransaction | null
): Pick<Participant, 'commit' | 'live' | 'isFinal' | 'requireUndoable' | 'revert'> {
  let isAsked = isAfterCrash

  return {
    async commit() {
      isAsked = true
      const transaction = opened()
      await commitOnce(
        connection,
        restoreId,
        transaction === null
          ? null
          : async () => {
              await transaction.commit()
            }
      )
      return 0
    },

    live: async () => ((await hasMarker(connection, restoreId)) ? 'restored' : 'former'),

    // Our own open transaction would keep the answer waiting.
    isFinal: async () => isAsked && (await hasMarker(connection, restoreId)),

    async requireUndoable() {
      throw new AppError(
        'RESTORE_NOT_UNDOABLE',
        'checkpoint-is-a-backup',
        'A restore inside the live database is undone by restoring its checkpoint.'
      )
    },

    async revert() {
      await opened()?.rollback()
      if (await hasMarker(connection, restoreId)) {
        throw new AppError(
          'RESTORE_UNFINISHED',
          'already-committed',
          "The database has committed the restore and can't go back."
        )
      }
    }
  }
}
