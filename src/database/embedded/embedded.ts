import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { AppError, systemCode } from '../../errors.js'
import { folderInUse, takeLock, type Lock } from '../../io/lock.js'
import type { Log } from '../../log.js'
import { changePort, createCredentials, readCredentials } from './credentials.js'
import type { ClusterCredentials } from './credentials.js'
import { databaseError, withSql } from '../connection/connection.js'
import type { Connection } from '../connection/connection.js'
import { createEmbeddedCluster, removeUnfinishedClusters } from './cluster.js'
import { clusterVersion, makeDirectory, prepareLog, prepareSocketFolder, serverUser } from './directory.js'
import { findServerBinaries } from '../postgres-tools.js'
import { awaitPostmaster, findPostmaster, PostmasterError, startPostmaster, stopPostmaster } from './postmaster.js'
import type { Postmaster, PostmasterOptions } from './postmaster.js'
import type { DatabaseStrategy } from '../strategy.js'

const attempts = 60
const retryMs = 500

interface Running {
  postmaster: Postmaster
  connection: Connection
}

/**
 * Our own cluster below `directory`: `data`, `run` (socket), `postgres.log` and `credentials.json`. It listens on
 * loopback and the socket only, and the application can use it with the credentials kept there. A server that a killed
 * service left running is taken over, and one that ends by itself is started again.
 * @throws AppError CONFIG_INVALID, DATABASE_TOOLS_MISSING from start() too
 */
export function createEmbeddedDatabase(options: {
  directory: string
  binDir: string | null
  log: Log
  superviseMs?: number
}): DatabaseStrategy {
  const { log, superviseMs = 1000 } = options
  const directory = resolve(options.directory)
  const dataDirectory = join(directory, 'data')
  let lock: Lock | null = null
  let running: Running | null = null
  /** Why the last start failed. */
  let failure: AppError | null = null
  let starting: Promise<void> | null = null
  let timer: NodeJS.Timeout | undefined

  async function start(): Promise<void> {
    lock = await lockDirectory(directory)
    try {
      running = await startServer({ ...options, directory, dataDirectory })
      failure = null
    } catch (error) {
      failure = error instanceof AppError ? error : null
      await lock.release()
      throw error
    }
    supervise()
  }

  function supervise(): void {
    timer = setTimeout(() => {
      starting = revive()
        .catch((error: unknown) => {
          log.error({ err: error }, "the embedded PostgreSQL can't be started again")
        })
        .finally(() => {
          starting = null
          supervise()
        })
    }, superviseMs)
  }

  async function revive(): Promise<void> {
    if (running !== null && (await findPostmaster(dataDirectory))?.pid === running.postmaster.pid) return
    log.error({ directory }, 'the embedded PostgreSQL has ended: starting it again')
    running = null
    running = await startServer({ ...options, directory, dataDirectory })
  }

  return {
    kind: 'embedded',
    dataDirectory,
    async start() {
      if (running !== null) return
      starting ??= start().finally(() => {
        starting = null
      })
      await starting
    },
    async stop() {
      await starting?.catch(() => {})
      clearTimeout(timer)
      if (running !== null) await stopPostmaster(dataDirectory, running.postmaster.pid)
      running = null
      await lock?.release()
      lock = null
    },
    connection() {
      if (running === null)
        throw (
          failure ??
          new AppError('DATABASE_UNAVAILABLE', 'embedded-not-running', 'The embedded database is not running.', {
            remedy: 'Wait until the service has started, or restart it.'
          })
        )
      return running.connection
    }
  }
}

async function lockDirectory(directory: string): Promise<Lock> {
  await makeDirectory(directory)
  const path = join(directory, 'service.lock')
  const lock = await takeLock(path)
  if (lock !== null) return lock
  throw await folderInUse({ name: 'EMBEDDED_DB_DIR', folder: directory }, path)
}

interface ServerOptions {
  directory: string
  dataDirectory: string
  binDir: string | null
  log: Log
}

async function startServer({ directory, dataDirectory, binDir, log }: ServerOptions): Promise<Running> {
  const user = await serverUser(directory)
  await removeUnfinishedClusters(directory)
  const version = await clusterVersion(dataDirectory)
  const binaries = await findServerBinaries({ binDir, ...(version === null ? {} : { major: version }) })
  const credentials = (await readCredentials(directory)) ?? (await firstCredentials(directory, version))
  if (version === null) {
    log.info({ directory, version: binaries.major }, 'setting up the embedded PostgreSQL')
    await createEmbeddedCluster({ directory, binaries, credentials, user })
  }
  const server = {
    postgres: binaries.postgres,
    dataDirectory,
    logFile: await prepareLog(directory),
    socketFolder: await prepareSocketFolder(directory, user),
    user,
    onWait: (seconds: number) => {
      log.info({ seconds }, 'waiting for PostgreSQL to recover from a crash')
    }
  }
  const { postmaster, started } = await startOrAdopt(directory, credentials, server, log)
  try {
    await checkCredentials(postmaster, credentials)
  } catch (error) {
    if (started) await stopPostmaster(dataDirectory, postmaster.pid)
    throw error
  }
  const { host, database, user: role, password } = credentials
  log.info(
    { host, port: postmaster.port, database, user: role, credentials: join(directory, 'credentials.json') },
    'embedded PostgreSQL is ready'
  )
  return {
    postmaster,
    connection: { host: postmaster.socketFolder, port: postmaster.port, user: role, password, database, parameters: {} }
  }
}

async function firstCredentials(directory: string, version: number | null): Promise<ClusterCredentials> {
  if (version === null) return await createCredentials(directory)
  throw new AppError(
    'CONFIG_INVALID',
    'embedded-credentials-gone',
    'EMBEDDED_DB_DIR holds a cluster, but its credentials.json is gone.',
    {
      remedy: 'Put credentials.json back, or move the folder away to begin with an empty database.'
    }
  )
}

async function startOrAdopt(
  directory: string,
  credentials: ClusterCredentials,
  { socketFolder, ...server }: Omit<PostmasterOptions, 'settings'> & { socketFolder: string },
  log: Log
): Promise<{ postmaster: Postmaster; started: boolean }> {
  let { port } = credentials
  for (let attempt = 1; ; attempt++) {
    try {
      const found = await findPostmaster(server.dataDirectory)
      if (found !== null) {
        log.warn({ postmaster: found.pid }, 'PostgreSQL still runs on the folder: taking it over')
        return { postmaster: await awaitPostmaster(server, found), started: false }
      }
      const settings = {
        port: String(port),
        listen_addresses: '127.0.0.1',
        unix_socket_directories: `"${socketFolder.replaceAll('"', '""')}"`
      }
      return { postmaster: await startPostmaster({ ...server, settings }), started: true }
    } catch (error) {
      if (!(error instanceof PostmasterError)) throw error
      if (attempt === attempts || !isPassing(error.log)) throw startError(error)
      if (isPortTaken(error.log)) {
        port = (await changePort(directory, credentials)).port
        log.warn({ port }, 'the port of the embedded PostgreSQL was taken: it gets another one')
      } else {
        await delay(retryMs)
      }
    }
  }
}

function isPortTaken(log: string): boolean {
  return /could not create any TCP\/IP sockets|Address already in use|\.s\.PGSQL\.\d+\.lock" already exists/.test(log)
}

/** Another service is quicker at this moment, or processes of a crashed server are still ending. */
function isPassing(log: string): boolean {
  return (
    log === '' ||
    isPortTaken(log) ||
    /lock file ".*" (already exists|is empty)|pre-existing shared memory block/.test(log)
  )
}

function startError(cause: PostmasterError): AppError {
  return new AppError('DATABASE_UNAVAILABLE', 'embedded-start', 'The embedded PostgreSQL does not start.', {
    remedy: 'See postgres.log in EMBEDDED_DB_DIR for the reason.',
    cause
  })
}

async function checkCredentials({ socketFolder, port }: Postmaster, { superuser }: ClusterCredentials): Promise<void> {
  try {
    await withSql({ host: socketFolder, port, ...superuser, database: 'postgres', parameters: {} }, {}, async sql => {
      await sql`SELECT`
    })
  } catch (error) {
    if (systemCode(error) !== '28P01') throw databaseError(error)
    throw new AppError(
      'CONFIG_INVALID',
      'embedded-credentials-foreign',
      'credentials.json in EMBEDDED_DB_DIR does not belong to the cluster beside it.',
      {
        remedy: 'Put back the credentials.json that was made with the cluster.',
        cause: error
      }
    )
  }
}
