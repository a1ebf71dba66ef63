import { AppError } from '../../errors.js'
import { ProgramError } from '../../io/process.js'
import { databaseError, trustedPath, withSql, type Connection } from '../connection/connection.js'
import { alterOwner, type OwnedObject } from '../owners.js'
import { readStayingObjects } from './staying-objects.js'

const way =
  'let the database user create databases (ALTER ROLE ... CREATEDB), so that the restore works beside the live one'

/**
 * Why psql could not replace everything inside the live database, where that is another role's object and no mistake of
 * the dump's. The preflight names most of them; this one is for objects that have changed hands since the backup.
 * @returns null when it is something else
 */
export async function otherRolesObject(connection: Connection, error: unknown): Promise<AppError | null> {
  if (!(error instanceof ProgramError)) return null
  const [, message = ''] = /ERROR: {1,2}(.*)/.exec(error.stderr) ?? []
  if (/^(?:must be owner of|permission denied)/.test(message)) {
    return new AppError(
      'PREFLIGHT_FAILED',
      'right-missing',
      `The database user lacks a right that the dump needs: ${message}.`,
      {
        remedy: `Have a superuser grant that right, or ${way}. Then restore again.`,
        errors: [{ reason: 'right-missing', message }],
        cause: error
      }
    )
  }
  const name = /"(.*?)"(?: for .*)? already exists/.exec(message)?.[1]
  if (name === undefined) return null
  const { user, objects } = await withSql(connection, { searchPath: trustedPath }, readStayingObjects).catch(
    (failure: unknown) => {
      throw databaseError(failure)
    }
  )
  const found = objects.filter(object => lastName(object) === name)
  if (found.length === 0) return null
  return new AppError(
    'PREFLIGHT_FAILED',
    'objects-of-another-role',
    'Objects of another role stand where the dump makes its own.',
    {
      remedy: `Give the objects that are listed to the database user, or drop them, or ${way}. Then restore again.`,
      errors: found.map(object => ({
        reason: 'object-of-another-role',
        message: `The ${object.type} ${object.identity} belongs to the role ${object.owner}: run ${alterOwner(object, user)}.`
      })),
      cause: error
    }
  )
}

/** Unquoted, without schema and arguments. */
function lastName({ identity }: OwnedObject): string {
  const name = /(?:^|\.)("(?:[^"]|"")*"|[^".(]+)(?:\(.*\)| USING .*)?$/.exec(identity)?.[1] ?? ''
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name
}
