import { join, resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type postgres from 'postgres'
import { AppError, systemCode } from '../errors.js'
import type { Log } from '../log.js'
import { changePort, createCredentials, readCredentials } from './cluster-credentials.js'
import type { ClusterCredentials } from './cluster-credentials.js'
import { databaseError, openSql } from './connection.js'
import type { Connection } from './connection.js'
import { createEmbeddedCluster, removeUnfinishedClusters } from './embedded-cluster.js'
import { clusterVersion, prepareDirectory, prepareLog, prepareSocketFolder } from './embedded-directory.js'
import { findServerBinaries } from './postgres-tools.js'
import { awaitPostmaster, findPostmaster, PostmasterError, startPostmaster, stopPostmaster } from './postmaster.js'
import type { Postmaster, PostmasterOptions } from './postmaster.js'
import type { DatabaseStrategy } from './strategy.js'

const attempts = 60
const retryMs = 500
/** Any number will do, as long as every release uses the same. */
const serviceLock = 5_207_313

interface Running {
  postmaster: Postmaster
  connection: Connection
  /** A session that holds the advisory lock of the one service that the cluster belongs to. */
  lock: postgres.Sql
}

/**
 * Our own cluster below `directory`: `data`, `run` (socket), `postgres.log` and `credentials.json`. It listens on
 * loopback and the socket only, and the application can use it with the credentials kept there. A server that a killed
 * service left running is taken over. @throws AppError CONFIG_INVALID, DATABASE_TOOLS_MISSING from start() too
 */
export function createEmbeddedDatabase (
  options: { directory: string, binDir: string | null, log: Log }
): DatabaseStrategy {
  const directory = resolve(options.directory)
  const dataDirectory = join(directory, 'data')
  let starting: Promise<Running> | null = null
  let running: Running | null = null

  return {
    kind: 'embedded',
    dataDirectory,
    async start () {
      starting ??= startEmbedded({ ...options, directory }, dataDirectory)
      try {
        running = await starting
      } catch (error) {
        starting = null
        throw error
      }
    },
    async stop () {
      const started = await starting?.catch(() => null)
      starting = running = null
      if (!started) return
      await stopPostmaster(dataDirectory, started.postmaster.pid)
      await started.lock.end({ timeout: 5 })
    },
    connection () {
      if (running === null) throw new AppError('DATABASE_UNAVAILABLE', 'The embedded database is not running.', { remedy: 'Wait until the service has started, or restart it.' })
      return running.connection
    }
  }
}

async function startEmbedded (
  { directory, binDir, log }: { directory: string, binDir: string | null, log: Log }, dataDirectory: string
): Promise<Running> {
  const user = await prepareDirectory(directory)
  const version = await clusterVersion(dataDirectory)
  const binaries = await findServerBinaries({ binDir, ...(version === null ? {} : { major: version }) })
  const credentials = await readCredentials(directory) ?? await firstCredentials(directory, version)
  if (version === null) {
    log.info({ directory, version: binaries.major }, 'setting up the embedded PostgreSQL')
    await createEmbeddedCluster({ directory, binaries, credentials, user })
    if (await clusterVersion(dataDirectory) === null) {
      throw new AppError('CONFIG_INVALID', 'The folder data in EMBEDDED_DB_DIR holds something that is not a PostgreSQL cluster.', {
        remedy: 'Set EMBEDDED_DB_DIR to a folder of its own.'
      })
    }
  }
  const server = {
    postgres: binaries.postgres,
    dataDirectory,
    logFile: await prepareLog(directory),
    socketFolder: await prepareSocketFolder(directory, user),
    user,
    onWait: (seconds: number) => { log.info({ seconds }, 'waiting for PostgreSQL to recover from a crash') }
  }
  const { postmaster, started } = await startOrAdopt(directory, credentials, server, log)
  const lock = await holdCluster(postmaster, credentials).catch(async (error: unknown) => {
    // Whoever holds the lock uses the server that we may have started.
    if (started && !isHeldElsewhere(error)) await stopPostmaster(dataDirectory, postmaster.pid)
    throw lockError(error)
  })
  await removeUnfinishedClusters(directory)
  const { host, database, user: role, password } = credentials
  log.info({ host, port: postmaster.port, database, user: role, credentials: join(directory, 'credentials.json') }, 'embedded PostgreSQL is ready')
  return { postmaster, lock, connection: { host: postmaster.socketFolder, port: postmaster.port, user: role, password, database, parameters: {} } }
}

async function firstCredentials (directory: string, version: number | null): Promise<ClusterCredentials> {
  if (version === null) return await createCredentials(directory)
  throw new AppError('CONFIG_INVALID', 'EMBEDDED_DB_DIR holds a cluster, but its credentials.json is gone.', {
    remedy: 'Put credentials.json back, or move the folder away to begin with an empty database.'
  })
}

async function startOrAdopt (
  directory: string, credentials: ClusterCredentials, { socketFolder, ...server }: Omit<PostmasterOptions, 'settings'> & { socketFolder: string }, log: Log
): Promise<{ postmaster: Postmaster, started: boolean }> {
  let { port } = credentials
  for (let attempt = 1; ; attempt++) {
    try {
      const found = await findPostmaster(server.dataDirectory)
      if (found !== null) {
        log.warn({ pid: found.pid }, 'PostgreSQL still runs on the folder: taking it over')
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
        await setTimeout(retryMs)
      }
    }
  }
}

function isPortTaken (log: string): boolean {
  return /could not create any TCP\/IP sockets|Address already in use|\.s\.PGSQL\.\d+\.lock" already exists/.test(log)
}

/** Another service is quicker at this moment, or processes of a crashed server are still ending. */
function isPassing (log: string): boolean {
  return log === '' || isPortTaken(log) || /lock file ".*" (already exists|is empty)|pre-existing shared memory block/.test(log)
}

function startError (cause: PostmasterError): AppError {
  return new AppError('DATABASE_UNAVAILABLE', 'The embedded PostgreSQL does not start.', {
    remedy: 'See postgres.log in EMBEDDED_DB_DIR for the reason.', cause
  })
}

async function holdCluster ({ socketFolder, port }: Postmaster, { superuser }: ClusterCredentials): Promise<postgres.Sql> {
  const sql = openSql({ host: socketFolder, port, ...superuser, database: 'postgres', parameters: {} }, { applicationName: 'dumbassets-backup lock' })
  try {
    // The session of a service that was killed can last a moment longer than the service.
    await sql`SET lock_timeout = '5s'`
    await sql`SELECT pg_advisory_lock(${serviceLock})`
    return sql
  } catch (error) {
    await sql.end({ timeout: 5 })
    throw error
  }
}

function isHeldElsewhere (error: unknown): boolean {
  return systemCode(error) === '55P03'
}

function lockError (error: unknown): AppError {
  if (isHeldElsewhere(error)) {
    return new AppError('CONFIG_INVALID', 'Another service runs on EMBEDDED_DB_DIR already.', {
      remedy: 'Stop the other service, or give each its own EMBEDDED_DB_DIR.', cause: error
    })
  }
  if (systemCode(error) === '28P01') {
    return new AppError('CONFIG_INVALID', 'credentials.json in EMBEDDED_DB_DIR does not belong to the cluster beside it.', {
      remedy: 'Put back the credentials.json that was made with the cluster.', cause: error
    })
  }
  return databaseError(error)
}
