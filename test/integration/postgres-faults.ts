import { once } from 'node:events'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import postgres from 'postgres'
import t, { type Test } from 'tap'
import { errorCatalogue } from '../../src/errors.js'
import { withSql } from '../../src/database/connection/connection.js'
import type { Job } from '../../src/jobs/job.js'
import { signer } from '../support/app.js'
import { otherBackup } from '../support/crash.js'
import { smallDisk } from '../support/disk.js'
import { startCluster, type TestCluster } from '../support/postgres.js'
import { createSite, organizationId, siteSecret, type Site } from '../support/restore-site.js'
import { addressOf, startServer } from '../support/server.js'

/** The shared cluster forgets on a crash what these keep. Few connections are used up soon. */
const durable = { max_connections: '20', fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' }

/** What PostgreSQL does at some phase of a job, and how it comes to itself again. */
type Fault = (cluster: TestCluster, site: Site) => Promise<() => Promise<void>>

const stopped: Fault = async cluster => {
  await cluster.stop('immediate')
  return async () => {
    await cluster.start()
  }
}

const restarted: Fault = async cluster => {
  await cluster.stop('fast')
  await cluster.start()
  return async () => {}
}

/**
 * As an application with too large a pool does. It asks for no types: where its session is ended then, the driver lets
 * a rejection go unhandled.
 */
const outOfConnections: Fault = async (_cluster, { connection: { host, port, user, password, database } }) => {
  const pools = Array.from({ length: 20 }, () =>
    postgres({
      host,
      port,
      user,
      password: password ?? '',
      database,
      max: 1,
      fetch_types: false,
      connection: { application_name: 'greedy' }
    })
  )
  await Promise.allSettled(
    pools.map(async sql => {
      await sql`SELECT 1`
    })
  )
  return async () => {
    await Promise.allSettled(
      pools.map(async sql => {
        await sql.end({ timeout: 1 })
      })
    )
  }
}

async function setUp(t: Test, cluster: TestCluster) {
  const site = await createSite(t, { cluster: cluster.files })
  // A sequence jumps ahead when a crash is recovered from before a checkpoint.
  await withSql(cluster.connection, {}, async sql => {
    await sql`CHECKPOINT`
  })
  const child = startServer(t, {
    JWT_SECRET: siteSecret,
    DATABASE_URL: site.databaseUrl,
    UPLOAD_DIR: site.uploadDir,
    BACKUP_DIR: site.backupDir,
    DATABASE_SCOPE: 'instance',
    RATE_LIMIT: '100000',
    PORT: '0'
  })
  const address = await addressOf(child)
  const authorization = `Bearer ${(await signer(siteSecret))({ sub: 'u', organizationId, role: 'OWNER' })}`

  /** Does it, and `onPhase` at each phase that is seen. */
  async function run(path: string, onPhase: (phase: string) => void): Promise<Job> {
    const headers = { authorization, prefer: 'respond-async', 'content-type': 'application/json' }
    const asked = await fetch(`${address}/api/backup/${path}`, { method: 'POST', headers, body: '{}' })
    const answer = (await asked.json()) as Job & { code?: string }
    if (asked.status !== 202) throw new Error(`${path} was answered with ${asked.status} ${answer.code}`)
    const events = await fetch(`${address}/api/backup/jobs/${answer.id}/events`, { headers: { authorization } })
    if (events.body === null) throw new Error('no events')
    let job = answer
    for await (const line of createInterface({ input: Readable.fromWeb(events.body) })) {
      if (!line.startsWith('data: ')) continue
      job = JSON.parse(line.slice(6)) as Job
      if (job.state === 'running') onPhase(job.phase)
    }
    return job
  }

  /** Restores that stand unfinished are finished by the service itself. */
  async function untilReady(): Promise<void> {
    for (let tries = 0; (await fetch(`${address}/health/ready`)).status !== 200; tries += 1) {
      if (tries > 600) throw new Error(`never ready again: ${child.output().stdout.slice(-2000)}`)
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  }

  async function phasesOf(path: string): Promise<string[]> {
    const phases = new Set<string>()
    const job = await run(path, phase => phases.add(phase))
    if (job.state !== 'succeeded') throw new Error(`unharmed, it ${job.state}: ${JSON.stringify(job.error)}`)
    return [...phases]
  }

  async function end(): Promise<void> {
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    t.same(await ended, [0, null], 'the service has lived through it')
  }

  return { site, run, untilReady, phasesOf, end }
}

/** One job with the fault at one of its phases, and what is there afterwards. */
async function harm(
  t: Test,
  { site, run, untilReady }: Awaited<ReturnType<typeof setUp>>,
  cluster: TestCluster,
  { path, at, fault, name }: { path: string; at: string; fault: Fault; name: string }
): Promise<void> {
  const before = await site.look()
  let mend: Promise<() => Promise<void>> | undefined
  const job = await run(path, phase => {
    if (phase === at) mend ??= fault(cluster, site)
  })
  await (
    await mend
  )?.()
  await untilReady()
  const after = await site.look()
  const what = `${name} at ${at} of ${path.split('/')[0]}: ${job.state} ${job.error?.code ?? ''}`
  if (job.state === 'failed' && (job.error?.code === 'INTERNAL_ERROR' || !(job.error!.code in errorCatalogue)))
    t.fail(`${what}: ${JSON.stringify(job.error)}`)
  // Its disk may be full in ways that only PostgreSQL can name; the rest is a connection that is not there.
  if (name !== 'out of disk')
    t.notOk(
      ['DUMP_FAILED', 'DUMP_INVALID', 'DATABASE_ERROR', 'RESTORE_CONFLICT'].includes(job.error?.code ?? ''),
      `${what}: says that the database is not available`
    )
  const expected =
    path === 'create' || (job.state === 'failed' && job.error?.code !== 'RESTORE_UNFINISHED')
      ? [before]
      : job.state === 'succeeded'
        ? [before === 'aa' ? 'bb' : 'aa']
        : ['aa', 'bb']
  t.ok(expected.includes(after), `${what}: ${before} → ${after}`)
  // What a restore that is done could not drop of the one before, it leaves to the next.
  if (job.state !== 'succeeded') t.same(await site.leftovers(), [], `${what}: nothing is left`)
  const names = (await readdir(site.backupDir, { recursive: true })).filter(name => !/^[^/]+\/activity/.test(name))
  t.equal(
    names.filter(name => name.endsWith('.zip')).length,
    names.filter(name => name.endsWith('.json')).length,
    `${what}: an archive for each record`
  )
}

/** Each fault at each phase of a backup and of a restore. */
async function harmAll(t: Test, cluster: TestCluster, faults: Record<string, Fault>): Promise<void> {
  const parts = await setUp(t, cluster)
  let injected = 0
  for (const operation of ['create', 'restore']) {
    const pathOf = async (): Promise<string> =>
      operation === 'create' ? 'create' : `restore/${await otherBackup(parts.site)}`
    const phases = await parts.phasesOf(await pathOf())
    for (const [name, fault] of Object.entries(faults)) {
      for (const at of phases) {
        await harm(t, parts, cluster, { path: await pathOf(), at, fault, name })
        injected += 1
      }
    }
    t.comment(`${operation}: ${phases.join(', ')}`)
  }
  t.equal((await parts.run(`restore/${await otherBackup(parts.site)}`, () => {})).state, 'succeeded')
  // The last restore has dropped the checkpoint before it, after its answer, when the service has ended.
  await parts.end()
  t.same(await parts.site.leftovers(), [], 'nothing is left in the end')
  t.comment(`${injected} faults of PostgreSQL injected: ${Object.keys(faults).join(', ')}`)
}

t.test('PostgreSQL is stopped, restarted or has no connection left in the middle of a job', async t => {
  await harmAll(t, await startCluster(t, { settings: durable }), {
    stopped,
    restarted,
    'out of connections': outOfConnections
  })
})

t.test('PostgreSQL has no disk left in the middle of a job', async t => {
  const disk = await smallDisk(t, '200m')
  if (disk === null) {
    t.comment('not tried: no file system can be mounted here')
    return
  }
  const cluster = await startCluster(t, {
    settings: { ...durable, max_connections: '50', max_wal_size: '64MB', min_wal_size: '32MB' },
    within: disk.folder
  })
  const filling = join(disk.folder, 'filling')
  await harmAll(t, cluster, {
    'out of disk': async () => {
      await writeFile(filling, Buffer.alloc(250 << 20)).catch(() => {})
      return async () => {
        await rm(filling)
        // It may have ended itself: it can't go on without its log.
        await cluster.stop('fast')
        await cluster.start()
      }
    }
  })
})
