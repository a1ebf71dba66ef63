import { AppError, systemCode } from '../../errors.js'
import { databaseError, trustedPath, withSql, type Connection } from '../connection/connection.js'
import { planPublicSchema } from './public-schema.js'

class NotMeant extends Error {}

/**
 * Drops all that the user owns, as a restore inside the live database begins, and takes that back at once: what other
 * roles have built upon it is known before a checkpoint is made. Readers wait for milliseconds. Where a table is locked
 * nothing is found out yet; the restore itself waits for longer.
 * @throws AppError RESTORE_CONFLICT
 */
export async function requireNoDependents(connection: Connection): Promise<void> {
  try {
    await withSql(connection, { searchPath: trustedPath }, async sql => {
      const { before } = await planPublicSchema(sql, undefined)
      await sql.begin(async transaction => {
        await transaction.unsafe(`SET LOCAL lock_timeout = '1s'; ${before}DROP OWNED BY CURRENT_USER RESTRICT`)
        throw new NotMeant()
      })
    })
  } catch (error) {
    if (error instanceof NotMeant || systemCode(error) === '55P03') return
    // dependent_objects_still_exist; its detail names the objects and nothing that is in them.
    if (systemCode(error) === '2BP01') throw dependentsConflict((error as { detail?: string }).detail ?? '', error)
    throw databaseError(error)
  }
}

/** @param detail lines of PostgreSQL's, such as `view reporting.people depends on table users` */
export function dependentsConflict(detail: string, cause: unknown): AppError {
  return new AppError(
    'RESTORE_CONFLICT',
    'dependent-objects',
    'Objects of another role depend on what the restore replaces.',
    {
      errors: detail
        .split('\n')
        .filter(line => line !== '')
        .map(message => ({ reason: 'dependent-object', message })),
      remedy:
        'Drop the objects that are listed, restore, and make them again; or let the database user create databases (ALTER ROLE ... CREATEDB).',
      cause
    }
  )
}
