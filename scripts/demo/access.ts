import { execa } from 'execa'
import type { Sql } from 'postgres'
import { readCredentials } from '../../src/database/embedded/credentials.js'
import { openSql } from '../../src/database/connection/connection.js'
import { nodeArguments, projectDir } from '../project.js'

/** A client of the embedded database, as the main application would open one. The caller ends it. */
export async function connectToEmbedded(directory: string): Promise<Sql> {
  const credentials = await readCredentials(directory)
  if (credentials === null) throw new Error('The embedded PostgreSQL has no credentials.json.')
  const { host, port, user, password, database } = credentials
  return openSql({ host, port, user, password, database, parameters: {} }, { applicationName: 'demo' })
}

/** An OWNER's token, from the same command that the README names. */
export async function makeToken(jwtSecret: string, organizationId: string): Promise<string> {
  const { stdout } = await execa(
    process.execPath,
    [...nodeArguments('scripts/token'), '--organization', organizationId, '--role', 'OWNER'],
    {
      cwd: projectDir,
      env: { JWT_SECRET: jwtSecret }
    }
  )
  return stdout.trim()
}
