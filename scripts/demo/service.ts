import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { freePort } from '../../src/io/free-port.js'
import { nodeArguments, projectDir } from '../project.js'

const startLimitMs = 60_000
const logTailLines = 20

/** The real service as a child process, with everything it writes in one temporary folder. */
export interface Service {
  baseUrl: string
  pid: number
  folder: string
  uploadDir: string
  backupDir: string
  databaseDir: string
  /** Its last words, for an error report. */
  logTail(): Promise<string>
  /** Ends as soon as the service does, however it does. */
  ended: Promise<unknown>
  /** Stops it gracefully and removes the folder. */
  remove(): Promise<void>
}

export interface ServiceOptions {
  jwtSecret: string
  /** Any free one when left out. */
  port?: string
  /** Further variables for the service, such as DATABASE_URL. */
  environment?: Record<string, string>
  /** Run what `npm run build` made, as a benchmark must; else the way that the caller runs. */
  compiled?: boolean
}

/** Starts the service and waits until it is ready. @throws Error with the end of its log when it does not get there */
export async function startService({
  jwtSecret,
  port,
  environment = {},
  compiled = false
}: ServiceOptions): Promise<Service> {
  const folder = await mkdtemp(path.join(tmpdir(), 'dumbassets-backup-demo-'))
  // When we are root, PostgreSQL runs as another user and has to reach its data folder through this one.
  await chmod(folder, 0o711)
  const uploadDir = path.join(folder, 'uploads')
  const backupDir = path.join(folder, 'backups')
  const databaseDir = path.join(folder, 'postgres')
  const logFile = path.join(folder, 'service.log')
  await mkdir(uploadDir)
  const chosenPort = port ?? String(await freePort())
  const log = openSync(logFile, 'a')

  const [command, ...args] = compiled
    ? (['sh', 'scripts/serve.sh'] as const)
    : ([process.execPath, ...nodeArguments('src/server')] as const)
  const child = spawn(command, args, {
    cwd: projectDir,
    // Its own process group, so that Ctrl-C reaches only us and the service is told once, by remove().
    detached: true,
    stdio: ['ignore', log, log],
    env: {
      ...inherited(),
      JWT_SECRET: jwtSecret,
      HOST: '127.0.0.1',
      PORT: chosenPort,
      UPLOAD_DIR: uploadDir,
      BACKUP_DIR: backupDir,
      EMBEDDED_DB_DIR: databaseDir,
      ...environment
    }
  })
  const ended = once(child, 'exit')
  const service: Service = {
    baseUrl: `http://127.0.0.1:${chosenPort}`,
    pid: child.pid!,
    folder,
    uploadDir,
    backupDir,
    databaseDir,
    ended,
    logTail: async () => (await readFile(logFile, 'utf8')).trimEnd().split('\n').slice(-logTailLines).join('\n'),
    async remove() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGTERM')
        await ended
      }
      await rm(folder, { recursive: true, force: true })
    }
  }
  try {
    await untilReady(service.baseUrl, child)
    return service
  } catch (error) {
    const tail = await service.logTail()
    await service.remove()
    throw new Error(`${(error as Error).message}\n${tail}`)
  }
}

/** Nothing of the caller's own configuration, such as a DATABASE_URL, may reach a demo that destroys data. */
function inherited(): NodeJS.ProcessEnv {
  const names = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'PG_BIN_DIR', 'COMPRESSION']
  return Object.fromEntries(
    names.filter(name => process.env[name] !== undefined).map(name => [name, process.env[name]])
  )
}

async function untilReady(baseUrl: string, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + startLimitMs
  let reason = 'it does not answer'
  while (Date.now() < deadline) {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error('The service ended instead of starting. Its log:')
    const answer = await fetch(`${baseUrl}/health/ready`).catch(() => null)
    if (answer?.ok === true) return
    if (answer !== null) reason = await answer.text()
    await setTimeout(100)
  }
  throw new Error(`The service was not ready after ${startLimitMs / 1000} seconds: ${reason} Its log:`)
}
