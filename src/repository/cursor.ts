import { AppError } from '../errors.js'

/** Where the next page of a list begins, as text that a client hands back unread. */
export function encodeCursor(...parts: Array<string | number>): string {
  return Buffer.from(parts.join(' ')).toString('base64url')
}

/** @returns the groups of `pattern`. @throws AppError BAD_REQUEST for a cursor that this service has not given */
export function decodeCursor(cursor: string, pattern: RegExp): string[] {
  const match = pattern.exec(Buffer.from(cursor, 'base64url').toString())
  if (match === null)
    throw new AppError('BAD_REQUEST', 'cursor-unknown', 'The cursor is none that this service gave.', {
      remedy: 'Start again without a cursor.'
    })
  return match.slice(1)
}
