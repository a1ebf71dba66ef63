import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { availableParallelism, getPriority } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { Worker } from 'node:worker_threads'
import t, { type Test } from 'tap'
import { createBackup } from '../../src/backup/create.js'
import type { Core } from '../../src/core.js'
import { testFolder } from '../support/archive.js'
import { testCore } from '../support/core.js'
import { testJob } from '../support/job.js'
import { createTestDatabase } from '../support/postgres.js'
import { childrenNamed, threadPriorities, traces, type Traces } from '../support/traces.js'

t.setTimeout(300_000)
const skip = process.platform === 'linux' ? false : 'needs /proc'

/** A database whose dump is larger than what is on its way at any time, and small and large uploads. */
async function setUp(t: Test) {
  const { TMPDIR } = process.env
  const temporary = await testFolder(t)
  const database = await createTestDatabase(t)
  await database.sql.unsafe(
    'CREATE TABLE assets AS SELECT n, repeat(md5(n::text), 30000) AS name FROM generate_series(1, 60) n'
  )
  const { core, uploadDir } = await testCore(t, { url: database.url })
  await mkdir(join(uploadDir, 'acme'))
  for (let file = 0; file < 20; file += 1) await writeFile(join(uploadDir, 'acme', `${file}.jpg`), randomBytes(300_000))
  await writeFile(join(uploadDir, 'acme', 'large.txt'), 'a line\n'.repeat(3_000_000))
  await core.repository.open()
  t.teardown(async () => {
    await core.repository.close()
    if (TMPDIR === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = TMPDIR
  })
  process.env.TMPDIR = temporary
  return { core, database }
}

/** Makes a backup, and calls `on` at each phase's beginning and each time that some of it is done. */
async function create(
  core: Core,
  on: (phase: string, isUnderWay: boolean) => void = () => {},
  signal = new AbortController().signal
): Promise<unknown> {
  let phase = ''
  const job = testJob({
    signal,
    onPhase: name => {
      on((phase = name), false)
    }
  })
  return await createBackup(
    core,
    { organizationId: 'acme', type: 'full', createdBy: 'tester', createdByEmail: null },
    {
      ...job,
      progress: {
        ...job.progress,
        advance: () => {
          on(phase, true)
        }
      }
    }
  )
}

/** Once the programs have ended, whose end a backup need not wait for. */
async function atRest(): Promise<Traces> {
  for (;;) {
    const found = await traces()
    if (!found.programs.some(name => ['pg_dump', 'mkfifo', 'igzip'].includes(name))) return found
    await setTimeout(10)
  }
}

const moments: Array<[phase: string, isUnderWay: boolean]> = [
  ['snapshot', false],
  ['database', false],
  ['database', true],
  ['files', false],
  ['files', true],
  ['finish', false]
]

t.test(
  'a backup that ends early leaves no thread, no descriptor, no program and no temporary folder',
  { skip },
  async t => {
    const { core, database } = await setUp(t)
    await create(core)
    const before = await atRest()
    t.match(before, { pipes: 0, programs: [], temporary: [] })

    for (const [phase, isUnderWay] of moments) {
      const what = `cancelled ${isUnderWay ? 'in the midst of' : 'at the beginning of'} "${phase}"`
      const cancel = new AbortController()
      await t.rejects(
        create(
          core,
          (...at) => {
            if (at[0] === phase && at[1] === isUnderWay) cancel.abort(new Error('enough'))
          },
          cancel.signal
        ),
        { message: 'enough' },
        what
      )
      t.strictSame(await atRest(), before, what)
    }

    await t.rejects(
      create(core, (phase, isUnderWay) => {
        if (phase === 'database' && isUnderWay) for (const pid of childrenNamed('pg_dump')) process.kill(pid, 'SIGKILL')
      }),
      { code: 'DUMP_FAILED' }
    )
    t.strictSame(await atRest(), before, 'pg_dump is killed')

    for (const doomed of ['database', 'files']) {
      const workers: Worker[] = []
      const onWorker = (worker: Worker): void => {
        workers.push(worker)
      }
      process.on('worker', onWorker)
      await t.rejects(
        create(core, (phase, isUnderWay) => {
          if (phase === doomed && isUnderWay) for (const worker of workers.splice(0)) void worker.terminate()
        }),
        { message: /thread ended unexpectedly/ }
      )
      process.off('worker', onWorker)
      t.strictSame(await atRest(), before, `the threads crash in the midst of "${doomed}"`)
    }

    const [{ sessions }] = await database.sql<[{ sessions: number }]>`
    SELECT count(*)::int AS sessions FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'pg_dump'`
    t.equal(sessions, 0)
    await create(core)
  }
)

t.test('the threads of a backup give way to the main one', { skip }, async t => {
  const { core } = await setUp(t)
  const lower = Math.min(getPriority() + 10, 19)
  const most = { database: 0, files: 0 }
  await create(core, phase => {
    if (phase === 'database' || phase === 'files')
      most[phase] = Math.max(most[phase], threadPriorities().filter(priority => priority === lower).length)
  })
  t.ok(most.database >= 2, 'the one that compresses, and the one that reads the pipe')
  t.ok(most.files >= Math.min(availableParallelism(), 4), 'those that read and compress files')
})
