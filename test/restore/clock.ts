import t from 'tap'
import { createBackup } from '../../src/backup/create.js'
import { expireCheckpoints, finishRestores } from '../../src/restore/recover.js'
import { restoreBackup } from '../../src/restore/restore.js'
import { undoRestore } from '../../src/restore/undo.js'
import type { Core } from '../../src/core.js'
import { createJobs } from '../../src/create-jobs.js'
import { operations } from '../../src/operations/all.js'
import type { JobContext } from '../../src/jobs/context.js'
import { testJob } from '../support/job.js'
import { createSite, organizationId } from '../support/restore-site.js'
import { startWork, withWork } from '../support/work.js'
import { restoresOf } from '../support/restores.js'

t.setTimeout(300_000)

const day = 86_400_000
const TrueDate = Date
let offset = 0
globalThis.Date = class extends TrueDate {
  constructor(...args: number[]) {
    super(...((args.length === 0 ? [TrueDate.now() + offset] : args) as [number]))
  }

  static override now(): number {
    return TrueDate.now() + offset
  }
} as DateConstructor
t.beforeEach(() => {
  offset = 0
})

/** A job in which the clock jumps when it comes to each phase. */
function jumping(core: Core, days: number, phases = new Set<string>()): JobContext {
  return testJob({
    core,
    onPhase: phase => {
      phases.add(phase)
      offset += days * day
    }
  })
}

t.test('a clock that jumps in the middle of a backup or restore loses nothing', async t => {
  const { core, states, look, leftovers } = await createSite(t)
  const restore = async (state: 'a' | 'b', days: number) =>
    await restoreBackup(
      core,
      {
        organizationId,
        backupId: states[state].backupId,
        validateChecksum: true,
        rollbackOnFailure: true,
        dryRun: false,
        startedBy: 'tester'
      },
      jumping(core, days)
    )
  const done: string[] = []
  for (const days of [-1, 400]) {
    const phases = new Set<string>()
    const { id } = await createBackup(
      core,
      { organizationId, type: 'full', createdBy: 'tester', createdByEmail: null },
      jumping(core, days, phases)
    )
    t.ok(phases.size > 2)
    t.equal((await core.catalog.get(organizationId, id))?.state, 'available')
    for (const state of ['a', 'b'] as const) {
      const { restoreId, report } = await restore(state, days)
      t.ok(report.durationMs >= 0 && report.durationMs < 3_600_000, `it took ${report.durationMs} ms`)
      t.equal(await look(), `${state}${state}`)
      done.unshift(restoreId)
    }
  }
  t.same(
    (await restoresOf(core, organizationId)).map(({ restoreId }) => restoreId),
    done,
    'newest first, whatever the clock said'
  )
  t.equal((await core.catalog.list(organizationId, { limit: 10 })).backups.length, 4)

  offset -= 1000 * day
  const last = await restore('a', -1)
  await finishRestores(core, [organizationId])
  t.same(
    (await restoresOf(core, organizationId)).filter(({ undoable }) => undoable).map(({ restoreId }) => restoreId),
    [last.restoreId],
    'the checkpoint is that of the last restore'
  )
  await undoRestore(core, { organizationId, restoreId: last.restoreId, startedBy: 'tester' }, jumping(core, -1))
  t.equal(await look(), 'bb')
  t.same(await leftovers(), [])
})

t.test('a checkpoint does not expire because the clock jumps ahead', async t => {
  const { core, states } = await createSite(t)
  const restored = await restoreBackup(
    core,
    {
      organizationId,
      backupId: states.a.backupId,
      validateChecksum: true,
      rollbackOnFailure: true,
      dryRun: false,
      startedBy: 'tester'
    },
    testJob({ core })
  )
  offset = 400 * day
  await expireCheckpoints(core)
  t.match(await restoresOf(core, organizationId), [{ restoreId: restored.restoreId, undoable: true }])
  await expireCheckpoints({ ...core, settings: { ...core.settings, checkpointRetentionMs: -1000 } })
  t.match(await restoresOf(core, organizationId), [{ undoable: false }], 'but when its time is over')
})

t.test('a backup that is made after the clock was set back says so', async t => {
  const { core } = await createSite(t)
  const create = async () =>
    await createBackup(core, { organizationId, type: 'files', createdBy: 'tester', createdByEmail: null }, testJob())
  t.same((await create()).warnings, [])
  offset = -day
  const earlier = await create()
  t.match(earlier.warnings, [/clock has gone back: an earlier backup is dated \d/])
  const { backups } = await core.catalog.list(organizationId, { limit: 10 })
  t.equal(backups.at(-1)?.id, earlier.id, 'it is listed by its time')
  const paged: string[] = []
  for (let cursor: string | undefined; ;) {
    const page = await core.catalog.list(organizationId, { limit: 1, ...(cursor === undefined ? {} : { cursor }) })
    paged.push(...page.backups.map(({ id }) => id))
    if (page.next === null) break
    cursor = page.next
  }
  t.same(
    paged,
    backups.map(({ id }) => id),
    'and in each way of listing'
  )
})

t.test('a job ends after its start, and tells its progress all the while', async t => {
  const { core } = await createSite(t)
  const { queue: jobs } = createJobs(core, { places: 1, operations: withWork(operations) })
  const { job, done } = startWork(jobs, {
    organizationId,
    run: async ({ progress }) => {
      progress.phase('before')
      offset = -day
      const told = new Promise<void>(resolve => {
        jobs.watch(job.id, ({ bytesDone }) => {
          if (bytesDone > 0) resolve()
        })
      })
      const moving = setInterval(() => {
        progress.advance(1)
      }, 10)
      await told
      clearInterval(moving)
    }
  })
  await done
  const ended = await jobs.get(organizationId, job.id)
  t.ok(ended.finishedAt! >= ended.startedAt)
})
