import type { Archive } from '../archive/reader.js'
import type { Core } from '../core.js'
import { AppError } from '../errors.js'

/**
 * A dump is code, so an archive that this installation has not signed is only used where the operator allows it.
 * @throws AppError ARCHIVE_UNTRUSTED
 */
export function requireTrusted({ settings }: Core, { trusted }: Archive): void {
  if (trusted || settings.acceptUnsignedArchives) return
  throw new AppError(
    'ARCHIVE_UNTRUSTED',
    'not-signed-here',
    'The archive carries no signature of this installation: it was made elsewhere, or changed since, or the key is another now.'
  )
}
