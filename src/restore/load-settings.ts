import type { Archive } from '../archive/reader.js'
import type { Connection } from '../database/connection/connection.js'
import { planLoadSettings, readValueSettings, type LoadSettings, type Setting } from '../database/value-settings.js'

/**
 * What a dump is computed by as it is loaded into `database`: the settings that the whole of a database was backed up
 * under. An archive of one organization, of a stranger or of an earlier release brings none: then those of the live
 * database.
 */
export async function settingsToLoad(
  connection: Connection,
  { metadata, trusted }: Archive,
  database: string
): Promise<LoadSettings & { warnings: string[] }> {
  const archived = metadata.database?.valueSettings
  const isOwn = trusted && metadata.databaseScope === 'instance' && archived !== undefined
  return await planLoadSettings(connection, database, {
    settings: isOwn ? archived : await liveSettings(connection, database),
    isPlain: archived !== undefined
  })
}

/** Where the live database is gone or can't be opened, what the user has in a fresh one. */
async function liveSettings(connection: Connection, database: string): Promise<Setting[]> {
  return await readValueSettings(connection).catch(async () => await readValueSettings({ ...connection, database }))
}
