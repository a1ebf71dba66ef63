import type { Core } from '../core.js'
import type { Backup } from '../repository/record.js'

/**
 * Writes the record of an archive that has just come into the repository. An archive whose record can't be written, or
 * not durably, is taken back with it, so that a failure leaves nothing.
 */
export async function keepRecord({ catalog, repository }: Core, backup: Backup): Promise<Backup> {
  const { organizationId, id } = backup
  try {
    await catalog.add(backup)
  } catch (error) {
    await repository.deleteArchive(organizationId, id)
    await catalog.remove(organizationId, id)
    throw error
  }
  return backup
}
