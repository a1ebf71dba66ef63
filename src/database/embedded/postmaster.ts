import { spawn } from 'node:child_process'
import { chown, open, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { systemCode } from '../../errors.js'
import { runProgram } from '../../io/process.js'
import type { SystemUser } from './unprivileged-user.js'

const pollMs = 50
const recoveryLimitMs = 10 * 60 * 1000

/**
 * The server process of a cluster, as its postmaster.pid tells (src/include/utils/pidfile.h in PostgreSQL's source).
 */
export interface Postmaster {
  pid: number
  /** Seconds since the epoch. */
  startedAt: number
  port: number
  socketFolder: string
  ready: boolean
}

export interface PostmasterOptions {
  /** Absolute path of the program. */
  postgres: string
  dataDirectory: string
  logFile: string
  /** Given to the server as `-c name=value`, so that they win over the files in the data folder. */
  settings: Readonly<Record<string, string>>
  user: SystemUser | null
  /** Called about every ten seconds while the server recovers from a crash. */
  onWait?: (seconds: number) => void
}

/** The server ended instead of starting; `log` is what it wrote, with no secret in it. */
export class PostmasterError extends Error {
  readonly log: string

  constructor(message: string, log: string) {
    super(log === '' ? message : `${message} ${log}`)
    this.name = 'PostmasterError'
    this.log = log
  }
}

/** The server that runs on the data folder, or null. */
export async function findPostmaster(dataDirectory: string): Promise<Postmaster | null> {
  const postmaster = await readPidFile(dataDirectory)
  return postmaster !== null && (await runsOn(dataDirectory, postmaster.pid)) ? postmaster : null
}

/**
 * Starts the server and waits until it takes connections, crash recovery included. It outlives this process.
 * @throws PostmasterError
 */
export async function startPostmaster(options: PostmasterOptions): Promise<Postmaster> {
  await disownReusedPid(options.dataDirectory)
  const stale = await readPidFile(options.dataDirectory)
  const log = await open(options.logFile, 'a+', 0o600)
  try {
    const logged = (await log.stat()).size
    const settings = Object.entries(options.settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    const child = spawn(options.postgres, ['-D', options.dataDirectory, ...settings], {
      stdio: ['ignore', log.fd, log.fd],
      // Its own process group: a Ctrl-C in our terminal must not stop it under running jobs.
      detached: true,
      cwd: '/',
      env: { PATH: '/usr/bin:/bin', LC_MESSAGES: 'C' },
      ...(options.user === null ? {} : { uid: options.user.uid, gid: options.user.gid })
    })
    child.unref()
    let ended = false
    child
      .on('error', () => {
        ended = true
      })
      .on('exit', () => {
        ended = true
      })
    const isStale = (found: Postmaster): boolean => found.pid === stale?.pid && found.startedAt === stale.startedAt
    const ready = await untilReady(
      options,
      async () => !ended,
      found => found.pid === child.pid && !isStale(found)
    )
    if (ready !== null) return ready
    const { buffer, bytesRead } = await log.read(Buffer.alloc(64 * 1024), 0, 64 * 1024, logged)
    throw new PostmasterError('PostgreSQL did not start.', buffer.toString('utf8', 0, bytesRead).trim())
  } finally {
    await log.close()
  }
}

/** Waits until a server that was found running takes connections. @throws PostmasterError */
export async function awaitPostmaster(
  options: Pick<PostmasterOptions, 'dataDirectory' | 'onWait'>,
  { pid }: Postmaster
): Promise<Postmaster> {
  const ready = await untilReady(
    options,
    () => runsOn(options.dataDirectory, pid),
    found => found.pid === pid
  )
  if (ready === null) throw new PostmasterError('PostgreSQL ended while it was starting.', '')
  return ready
}

/**
 * Shuts the server down (fast: running statements are cancelled; immediate: as after a crash) and waits for its end.
 */
export async function stopPostmaster(
  dataDirectory: string,
  pid: number,
  mode: 'fast' | 'immediate' = 'fast'
): Promise<void> {
  if (!(await runsOn(dataDirectory, pid))) return
  process.kill(pid, mode === 'fast' ? 'SIGINT' : 'SIGQUIT')
  while (await runsOn(dataDirectory, pid)) await setTimeout(pollMs)
}

/**
 * The ready server, or null when it ended. In a container a stale file can name the very pid that a new server gets.
 */
async function untilReady(
  { dataDirectory, onWait }: Pick<PostmasterOptions, 'dataDirectory' | 'onWait'>,
  isRunning: () => Promise<boolean>,
  isOurs: (found: Postmaster) => boolean
): Promise<Postmaster | null> {
  for (let waited = 0; waited < recoveryLimitMs; waited += pollMs) {
    const found = await readPidFile(dataDirectory)
    if (found?.ready && isOurs(found)) return found
    if (!(await isRunning())) return null
    if (waited > 0 && waited % 10_000 === 0) onWait?.(waited / 1000)
    await setTimeout(pollMs)
  }
  throw new PostmasterError('PostgreSQL is not ready yet.', 'It is still recovering.')
}

async function readPidFile(dataDirectory: string): Promise<Postmaster | null> {
  const text = await readFile(join(dataDirectory, 'postmaster.pid'), 'utf8').catch(absent)
  const [pid, , startedAt, port, socketFolder, , , status] = (text ?? '').split('\n')
  if (!pid) return null
  return {
    pid: Number(pid),
    startedAt: Number(startedAt),
    port: Number(port),
    socketFolder: socketFolder ?? '',
    ready: status?.trim() === 'ready'
  }
}

/** Whether that process is a PostgreSQL server on the data folder: pids are used again after a crash. */
async function runsOn(dataDirectory: string, pid: number): Promise<boolean> {
  if (!isAlive(pid)) return false
  // Not /proc/<pid>/cwd: root in a container may not read another user's.
  const command =
    process.platform === 'linux'
      ? ((await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(absent)) ?? '').replaceAll('\0', ' ')
      : `${await runProgram('ps', ['-ww', '-o', 'command=', '-p', String(pid)]).catch(() => '')} `
  const [program = '', ...rest] = command.split(` -D ${dataDirectory} `)
  return rest.length > 0 && /(^|\/)(postgres|postmaster)$/.test(program)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return systemCode(error) === 'EPERM'
  }
}

/**
 * PostgreSQL refuses to start while the pid in its lock files is alive, even if another program has it now. The files
 * are kept, since one guards against orphaned backends by its shared memory key: only the pid is made ours, which the
 * new server, being our child, takes as stale.
 */
async function disownReusedPid(dataDirectory: string): Promise<void> {
  const stale = await readPidFile(dataDirectory)
  if (stale === null || !isAlive(stale.pid) || (await runsOn(dataDirectory, stale.pid))) return
  for (const file of [join(stale.socketFolder, `.s.PGSQL.${stale.port}.lock`), join(dataDirectory, 'postmaster.pid')]) {
    const [pid, ...rest] = ((await readFile(file, 'utf8').catch(absent)) ?? '').split('\n')
    if (Number(pid) !== stale.pid) continue
    const { uid, gid } = await stat(file)
    await writeFile(`${file}.new`, [process.pid, ...rest].join('\n'), { mode: 0o600 })
    await chown(`${file}.new`, uid, gid)
    await rename(`${file}.new`, file)
  }
}

function absent(error: unknown): null {
  if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ESRCH') return null
  throw error
}
