import { AppError } from '../errors.js'

/** A name for a message: no control characters, not over 200 characters. */
export function printable(name: string): string {
  return JSON.stringify(name.length > 200 ? name.slice(0, 200) + '…' : name)
}

/** @param what follows "The archive can't be used: " */
export function invalid(reason: string, what: string, cause?: unknown): AppError {
  return new AppError('ARCHIVE_INVALID', reason, `The archive can't be used: ${what}.`, { cause })
}

/** Its owner is not told. */
export function ofAnother(): AppError {
  return new AppError(
    'ARCHIVE_INVALID',
    'another-organization',
    "The archive can't be used: it belongs to another organization.",
    {
      remedy:
        'Use it with the token of an OWNER of the organization that it was made for: no other can take or restore it.'
    }
  )
}

export function mismatch(name: string, cause?: unknown): AppError {
  return new AppError(
    'CHECKSUM_MISMATCH',
    'entry-differs',
    `The archive is damaged: ${printable(name)} is not what it was when the backup was made.`,
    { cause }
  )
}
