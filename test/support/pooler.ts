import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Connection } from '../../src/database/connection/connection.js'
import { unprivilegedUser } from '../../src/database/embedded/unprivileged-user.js'
import { freePort } from '../../src/io/free-port.js'
import { urlOf } from './postgres.js'

/** The part of tap's `t` that is needed here. */
interface Test {
  teardown(fn: () => Promise<void>): unknown
}

const program = '/usr/sbin/pgbouncer'

/** Whether PgBouncer is installed: scripts/setup.sh brings it where apt-get can. */
export async function hasPooler(): Promise<boolean> {
  return await access(program).then(
    () => true,
    () => false
  )
}

export interface PoolerOptions {
  mode: 'session' | 'transaction' | 'statement'
  /** Start-up parameters that it drops without a word; it refuses the others that it does not know. */
  ignored?: string
}

/**
 * A PgBouncer of the test's own before every database of the server.
 * @returns the URL of the same database by way of it
 */
export async function startPooler(
  t: Test,
  connection: Connection,
  { mode, ignored = '' }: PoolerOptions
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'dab-pooler-'))
  t.teardown(async () => {
    await rm(folder, { recursive: true, force: true })
  })
  const port = await freePort()
  const file = join(folder, 'pgbouncer.ini')
  const { host, port: serverPort, user, password, database } = connection
  await writeFile(
    file,
    `[databases]
* = host=${host} port=${serverPort} user=${user} password=${password ?? ''}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = ${mode}
ignore_startup_parameters = ${ignored}
default_pool_size = 2
`,
    { mode: 0o644 }
  )
  // It refuses to run as root.
  const owner = await unprivilegedUser()
  if (owner !== null) for (const path of [folder, file]) await chown(path, owner.uid, owner.gid)
  const running = spawn(program, [file], {
    stdio: ['ignore', 'ignore', 'pipe'],
    cwd: folder,
    ...(owner === null ? {} : { uid: owner.uid, gid: owner.gid })
  })
  const ended = once(running, 'exit')
  t.teardown(async () => {
    running.kill('SIGKILL')
    await ended
  })
  const log: string[] = []
  for await (const line of createInterface({ input: running.stderr })) {
    log.push(line)
    if (line.includes('process up')) break
  }
  running.stderr.resume()
  if (running.exitCode !== null) throw new Error(`PgBouncer did not start: ${log.join('\n')}`)
  return urlOf({ ...connection, host: '127.0.0.1', port, user, database })
}
