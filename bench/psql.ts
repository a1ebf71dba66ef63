import path from 'node:path'
import { toEnvironment, type Connection } from '../src/database/connection/connection.js'
import { quoteIdentifier } from '../src/database/identifiers.js'
import { timed } from './measure.js'
import { shell } from './shell.js'
import type { Stage } from './stage.js'

/** Takes the dump out of an archive. @returns path of the gzipped SQL, alone in a scratch folder */
export async function extractDump({ environment, scratchFolder }: Stage, archive: string): Promise<string> {
  const target = await scratchFolder()
  await shell('unzip -q "$ARCHIVE" database.sql.gz -d "$TARGET"', { ...environment, ARCHIVE: archive, TARGET: target })
  return path.join(target, 'database.sql.gz')
}

/** @returns wall time in ms */
export async function loadWithPsql({ environment }: Stage, dump: string, database: Connection): Promise<number> {
  return await timed(async () => {
    await shell('gunzip -c "$DUMP" | "$PSQL" -X -q -v ON_ERROR_STOP=1', {
      ...environment,
      ...toEnvironment(database),
      DUMP: dump
    })
  })
}

/** Loads it into a new database that is dropped again. @returns wall time in ms */
export async function loadAndDrop(stage: Stage, dump: string): Promise<number> {
  const database = await stage.scratchDatabase()
  const took = await loadWithPsql(stage, dump, database)
  await stage.withSql(async sql => await sql.unsafe(`DROP DATABASE ${quoteIdentifier(database.database)}`))
  return took
}
