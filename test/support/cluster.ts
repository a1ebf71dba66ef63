import { randomBytes } from 'node:crypto'
import { chown, mkdtemp, rm, statfs, writeFile } from 'node:fs/promises'
import { freemem, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Connection } from '../../src/database/connection/connection.js'
import { findServerBinaries } from '../../src/database/postgres-tools.js'
import { findPostmaster, startPostmaster, stopPostmaster } from '../../src/database/embedded/postmaster.js'
import { unprivilegedUser } from '../../src/database/embedded/unprivileged-user.js'
import { freePort } from '../../src/io/free-port.js'
import { runProgram } from '../../src/io/process.js'

/** A throw-away PostgreSQL in a temporary folder, tuned for speed: it does not survive a crash of the machine. */
export interface ClusterFiles {
  folder: string
  dataDirectory: string
  port: number
  password: string
}

/** Memory that a run of the tests may take for its databases; they are dropped as each test ends. */
const roomInMemory = 6 * 2 ** 30

/** In memory where there is room: to make a database is to make 300 files, which takes five times as long on a disk. */
async function clusterHome(): Promise<string> {
  const memory = '/dev/shm'
  const { type, bavail, bsize } = await statfs(memory).catch(() => ({ type: 0, bavail: 0, bsize: 0 }))
  const tmpfsMagic = 0x01021994
  return type === tmpfsMagic && bavail * bsize > roomInMemory && freemem() > roomInMemory ? memory : tmpdir()
}

export async function createCluster(within?: string): Promise<ClusterFiles> {
  const user = await unprivilegedUser()
  const folder = await mkdtemp(join(within ?? (await clusterHome()), 'dab-pg-'))
  const files = {
    folder,
    dataDirectory: join(folder, 'data'),
    port: await freePort(),
    password: randomBytes(12).toString('hex')
  }
  const passwordFile = join(folder, 'password')
  await writeFile(passwordFile, files.password)
  if (user !== null) for (const path of [folder, passwordFile]) await chown(path, user.uid, user.gid)
  const { initdb } = await findServerBinaries({ binDir: process.env.PG_BIN_DIR ?? null })
  await runProgram(
    initdb,
    [
      '-D',
      files.dataDirectory,
      '-U',
      'postgres',
      '--auth=scram-sha-256',
      `--pwfile=${passwordFile}`,
      '--encoding=UTF8',
      '--locale=C',
      '--no-sync',
      '--no-instructions'
    ],
    { cwd: '/', ...(user === null ? {} : { uid: user.uid, gid: user.gid }) }
  )
  return files
}

export async function startClusterServer(files: ClusterFiles, settings: Record<string, string> = {}): Promise<number> {
  const { postgres } = await findServerBinaries({ binDir: process.env.PG_BIN_DIR ?? null })
  const { pid } = await startPostmaster({
    postgres,
    dataDirectory: files.dataDirectory,
    logFile: join(files.folder, 'log'),
    user: await unprivilegedUser(),
    settings: {
      port: String(files.port),
      listen_addresses: '127.0.0.1',
      unix_socket_directories: files.folder,
      fsync: 'off',
      synchronous_commit: 'off',
      full_page_writes: 'off',
      max_connections: '300',
      max_locks_per_transaction: '256',
      shared_buffers: '64MB',
      autovacuum: 'off',
      ...settings
    }
  })
  return pid
}

export async function stopClusterServer(files: ClusterFiles, mode: 'fast' | 'immediate' = 'fast'): Promise<void> {
  const running = await findPostmaster(files.dataDirectory)
  if (running !== null) await stopPostmaster(files.dataDirectory, running.pid, mode)
}

export async function removeCluster(files: ClusterFiles): Promise<void> {
  await stopClusterServer(files, 'immediate')
  await rm(files.folder, { recursive: true, force: true, maxRetries: 5 })
}

/** The superuser's connection over TCP. */
export function superuser({ port, password }: ClusterFiles): Connection {
  return { host: '127.0.0.1', port, user: 'postgres', password, database: 'postgres', parameters: {} }
}
