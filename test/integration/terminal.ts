import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import postgres from 'postgres'
import t from 'tap'
import { freePort } from '../../src/io/free-port.js'
import { exists } from '../../src/io/exists.js'
import { signer, testSecret } from '../support/app.js'
import { compiled, projectFile } from '../support/project.js'

const folder = await mkdtemp(join(tmpdir(), 'terminal-test-'))
const data = join(folder, 'postgres')
const port = await freePort()
const address = `http://127.0.0.1:${port}`
const headers = {
  authorization: `Bearer ${(await signer(testSecret))({ sub: 'u', organizationId: 'acme', role: 'OWNER' })}`,
  prefer: 'respond-async'
}

// `npm start` without its build: what is looked at is npm's and the terminal's way with signals.
await chmod(folder, 0o711)
await mkdir(join(folder, 'scripts'))
await copyFile(projectFile('scripts/serve.sh'), join(folder, 'scripts/serve.sh'))
await symlink(dirname(dirname(compiled('src/server.js'))), join(folder, 'dist'))
await writeFile(
  join(folder, 'package.json'),
  JSON.stringify({ private: true, scripts: { start: 'exec sh scripts/serve.sh' } })
)

const environment = {
  PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
  HOME: folder,
  JWT_SECRET: testSecret,
  PORT: String(port),
  DATABASE_SCOPE: 'instance',
  UPLOAD_DIR: join(folder, 'uploads'),
  BACKUP_DIR: join(folder, 'backups'),
  EMBEDDED_DB_DIR: data
}
await mkdir(environment.UPLOAD_DIR)

let child: ChildProcess | undefined
t.teardown(async () => {
  child?.kill('SIGKILL')
  await rm(folder, { recursive: true, force: true })
})

/** @param program in a terminal of its own, or as it stands */
function start(...[program = '', ...args]: string[]): ChildProcess {
  child = spawn(program, args, { cwd: folder, env: environment, stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdout!.resume()
  return child
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await pause(20)
}

async function readiness(): Promise<string> {
  const answer = await fetch(`${address}/health/ready`).catch(() => null)
  if (answer === null) return 'none'
  const { status, code } = (await answer.json()) as { status?: string; code?: string }
  return status ?? code ?? ''
}

/** Starts a backup that can't end before `release`. */
async function startBackup(): Promise<{ events: Response; release: () => Promise<void> }> {
  const { host, port, user, password, database } = JSON.parse(
    await readFile(join(data, 'credentials.json'), 'utf8')
  ) as Record<string, string>
  const sql = postgres({ host, port: Number(port), user, password, database, max: 2, onnotice: () => {} })
  await sql`CREATE TABLE IF NOT EXISTS things (id int PRIMARY KEY)`
  const holder = await sql.reserve()
  await holder`BEGIN`
  await holder`LOCK TABLE things IN ACCESS EXCLUSIVE MODE`
  const job = await fetch(`${address}/api/backup/create`, { method: 'POST', headers })
  t.equal(job.status, 202)
  const events = await fetch(`${address}${job.headers.get('location')}/events`, { headers })
  await until(
    async () => (await sql`SELECT FROM pg_locks WHERE NOT granted AND relation = 'things'::regclass`).length > 0
  )
  return {
    events,
    async release() {
      await holder`COMMIT`
      holder.release()
      await sql.end()
    }
  }
}

const terminal = ['script', '-qec', 'npm start', '/dev/null']
const linux = process.platform === 'linux'

for (const { name, program, stop, again } of [
  // The terminal sends SIGINT to npm, to the service and to the programs that it has started; npm sends another to the
  // service.
  {
    name: 'Ctrl-C in the terminal of npm start, which is closed then,',
    program: terminal,
    stop: () => {
      child!.stdin!.write('\x03')
    },
    again: () => {
      child!.kill('SIGKILL')
    }
  },
  {
    name: 'a terminal that is closed',
    program: terminal,
    stop: () => {
      child!.kill('SIGKILL')
    },
    again: () => {}
  },
  {
    name: 'SIGTERM for npm, twice,',
    program: ['npm', 'start'],
    stop: () => {
      child!.kill('SIGTERM')
    },
    again: () => {
      child!.kill('SIGTERM')
    }
  }
]) {
  t.test(
    `${name} lets the running backup end, and stops PostgreSQL`,
    { skip: !linux && 'script(1) of Linux is needed for a terminal' },
    async t => {
      const ended = once(start(...program), 'exit')
      await until(async () => (await readiness()) === 'ready')
      const { events, release } = await startBackup()
      stop()
      await until(async () => (await readiness()) === 'SERVICE_STOPPING')
      again()
      await release()
      t.match(await events.text(), /event: result\ndata: .*"state":"succeeded"/)
      await ended
      await until(async () => (await readiness()) === 'none')
      await until(async () => !(await exists(join(data, 'data/postmaster.pid'))))

      const kept = (await readdir(join(environment.BACKUP_DIR, 'acme')))
        .map(file => file.replace(/^backup-[\w-]{36}/, 'backup-ID'))
        .sort()
      t.same(kept, ['activity', 'backup-ID.json', 'backup-ID.zip'], 'the backup, the job, and nothing unfinished')
      await rm(environment.BACKUP_DIR, { recursive: true })
    }
  )
}
