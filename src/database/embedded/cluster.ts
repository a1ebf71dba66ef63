import { appendFile, chown, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError, systemCode } from '../../errors.js'
import { durableRename } from '../../io/durable.js'
import { ProgramError, runProgram } from '../../io/process.js'
import type { ProgramOptions } from '../../io/process.js'
import type { ClusterCredentials } from './credentials.js'
import { quoteIdentifier, quoteLiteral } from '../identifiers.js'
import type { ServerBinaries } from '../postgres-tools.js'
import { scramVerifier } from './scram.js'
import type { SystemUser } from './unprivileged-user.js'

const stagingPrefix = 'data.new-'

/** For bulk loads, without risk: everything that protects data stays on. The operator can change these in the file. */
const settings = `
# dumbassets-backup
password_encryption = scram-sha-256
shared_buffers = 128MB
wal_level = minimal
max_wal_senders = 0
max_wal_size = 4GB
checkpoint_timeout = 15min
max_locks_per_transaction = 256
`

/**
 * Makes the cluster's data folder: complete, with the application's role and database, or not at all. It is built
 * beside its place and moved there last, so that a crash midway leaves nothing that looks like a cluster.
 * @throws AppError DATABASE_UNAVAILABLE when initdb fails, CONFIG_INVALID when something else is in its place
 */
export async function createEmbeddedCluster({
  directory,
  binaries,
  credentials,
  user
}: {
  directory: string
  binaries: ServerBinaries
  credentials: ClusterCredentials
  user: SystemUser | null
}): Promise<void> {
  const staging = await mkdtemp(join(directory, stagingPrefix))
  const data = join(staging, 'data')
  const passwordFile = join(staging, 'password')
  // The user may not be allowed to enter the folder that we were started in.
  const asUser = { cwd: '/', ...(user === null ? {} : { uid: user.uid, gid: user.gid }) }
  try {
    await writeFile(passwordFile, credentials.superuser.password, { mode: 0o600 })
    if (user !== null) for (const path of [staging, passwordFile]) await chown(path, user.uid, user.gid)
    await initdb(binaries.initdb, data, passwordFile, credentials.superuser.user, asUser)
    await appendFile(join(data, 'postgresql.conf'), settings)
    // Single-user mode needs no port and ends with a checkpoint; it takes one statement a line.
    await runProgram(binaries.postgres, ['--single', '-D', data, '-c', 'exit_on_error=on', 'postgres'], {
      ...asUser,
      input: bootstrap(credentials, binaries.major)
    })
    await moveInto(data, join(directory, 'data'))
  } catch (error) {
    if (!(error instanceof ProgramError)) throw error
    throw new AppError('DATABASE_UNAVAILABLE', 'embedded-set-up', 'The embedded PostgreSQL could not be set up.', {
      remedy:
        'See the service log for the message of initdb; check the free disk space and the rights of EMBEDDED_DB_DIR.',
      cause: error
    })
  } finally {
    await rm(staging, { recursive: true, force: true })
  }
}

/** Removes what interrupted attempts left. Only for the one service that holds the directory. */
export async function removeUnfinishedClusters(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (name.startsWith(stagingPrefix)) await rm(join(directory, name), { recursive: true, force: true })
  }
}

async function initdb(
  file: string,
  data: string,
  passwordFile: string,
  superuser: string,
  options: ProgramOptions
): Promise<void> {
  const run = async (locale: string): Promise<void> => {
    await runProgram(
      file,
      [
        '-D',
        data,
        '-U',
        superuser,
        `--pwfile=${passwordFile}`,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        `--locale=${locale}`,
        '--lc-messages=C',
        '--data-checksums',
        '--no-instructions'
      ],
      options
    )
  }
  try {
    await run('C.UTF-8')
  } catch (error) {
    if (!(error instanceof ProgramError) || !/invalid locale/.test(error.stderr)) throw error
    await run('C')
  }
}

function bootstrap({ user, password, database }: ClusterCredentials, major: number): string {
  const role = quoteIdentifier(user)
  return [
    `CREATE ROLE ${role} LOGIN NOSUPERUSER CREATEDB CREATEROLE PASSWORD ${quoteLiteral(scramVerifier(password))}`,
    `CREATE DATABASE ${quoteIdentifier(database)} OWNER ${role}`,
    // So that what loads a dump can be kept from filling the disk with temporary files.
    major >= 15 ? `GRANT SET ON PARAMETER temp_file_limit TO ${role}` : `GRANT pg_monitor TO ${role}`,
    ''
  ].join('\n')
}

async function moveInto(from: string, to: string): Promise<void> {
  try {
    await durableRename(from, to)
  } catch (error) {
    if (!['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes(systemCode(error) ?? '')) throw error
    throw new AppError(
      'CONFIG_INVALID',
      'embedded-not-a-cluster',
      'The folder data in EMBEDDED_DB_DIR holds something that is not a PostgreSQL cluster.',
      {
        remedy: 'Set EMBEDDED_DB_DIR to a folder of its own.',
        cause: error
      }
    )
  }
}
