import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError, systemCode } from '../../errors.js'
import { writeFileDurably } from '../../io/durable.js'
import { freePort } from '../../io/free-port.js'

/** How to get into the embedded cluster: `credentials.json`, readable by the service's own user only. */
export interface ClusterCredentials {
  host: string
  port: number
  database: string
  user: string
  password: string
  /** Role and password of the cluster's superuser. */
  superuser: { user: string; password: string }
}

/** Null when there are none yet. @throws AppError CONFIG_INVALID when the file can't be used */
export async function readCredentials(directory: string): Promise<ClusterCredentials | null> {
  try {
    return JSON.parse(await readFile(fileIn(directory), 'utf8')) as ClusterCredentials
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT') return null
    throw new AppError(
      'CONFIG_INVALID',
      'embedded-credentials-unreadable',
      "credentials.json in EMBEDDED_DB_DIR can't be read.",
      {
        remedy: 'Make it readable for the user that the service runs as, or put back a good copy of it.',
        cause
      }
    )
  }
}

/** Makes the credentials of a new cluster. */
export async function createCredentials(directory: string): Promise<ClusterCredentials> {
  const credentials = {
    host: '127.0.0.1',
    port: await freePort(),
    database: 'dumbassets',
    user: 'dumbassets',
    password: randomPassword(),
    superuser: { user: 'postgres', password: randomPassword() }
  }
  await writeFileDurably(fileIn(directory), toText(credentials))
  return credentials
}

/** Keeps another free port in place of one that is taken. */
export async function changePort(directory: string, credentials: ClusterCredentials): Promise<ClusterCredentials> {
  const changed = { ...credentials, port: await freePort() }
  await writeFileDurably(fileIn(directory), toText(changed))
  return changed
}

function fileIn(directory: string): string {
  return join(directory, 'credentials.json')
}

function toText(credentials: ClusterCredentials): string {
  return JSON.stringify(credentials, null, 2) + '\n'
}

function randomPassword(): string {
  return randomBytes(24).toString('base64url')
}
