import { randomUUID } from 'node:crypto'
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Job } from '../../src/jobs/job.js'
import { createActivity } from '../../src/repository/activity.js'
import { testCore } from '../support/core.js'
import { keptLog } from '../support/kept-log.js'

function job(finishedAt: string, changes: Partial<Job> = {}): Job {
  return {
    object: 'job',
    id: randomUUID(),
    kind: 'create',
    organizationId: 'acme',
    startedBy: 'olivia@example.com',
    state: 'succeeded',
    phase: 'verify',
    bytesDone: 1,
    bytesTotal: 1,
    cancellable: false,
    startedAt: finishedAt,
    finishedAt,
    result: { object: 'backup' },
    ...changes
  }
}

t.test(
  "finished jobs are found by another process: newest first, a hundred at most, and only the organization's own",
  async t => {
    const { core, backupDir } = await testCore(t)
    const before = createActivity(core.repository, core.log)
    const jobs = Array.from({ length: 105 }, (_, index) => job(new Date(Date.UTC(2026, 0, 1, index)).toISOString()))
    for (const kept of jobs) await before.keep(kept)
    const theirs = job('2026-01-02T00:00:00.000Z', { organizationId: 'other' })
    await before.keep(theirs)
    const path = join(backupDir, 'acme', 'activity', '2026-01-01', `20260101T000000000Z-${jobs[0]!.id}.json`)
    t.equal((await stat(path)).mode & 0o777, 0o600)

    const after = createActivity(core.repository, core.log)
    const expected = jobs.slice(5).reverse()
    t.same(await after.list('acme'), expected)
    t.same(await after.find('acme', jobs[0]!.id), jobs[0], 'an older one is found by its id')
    t.same(await after.list('other'), [theirs])
    t.equal(await after.find('acme', theirs.id), null)
    t.same(await after.list('nothing'), [])
    const newer = job('2026-03-01T00:00:00.000Z', { state: 'failed' })
    await after.keep(newer)
    t.same((await after.list('acme')).slice(0, 2), [newer, expected[0]])
    await t.rejects(after.find('acme', '../other'), { code: 'VALIDATION_FAILED' })
  }
)

t.test('what is no file of a job is left out, and told', async t => {
  const { core, backupDir } = await testCore(t)
  const { log, lines } = keptLog()
  const activity = createActivity(core.repository, core.log)
  const [good, strange] = [job('2026-01-01T00:00:00.000Z'), job('2026-01-02T00:00:00.000Z')]
  await activity.keep(good)
  const folder = join(backupDir, 'acme', 'activity')
  await mkdir(join(folder, '2026-01-02'))
  await writeFile(
    join(folder, '2026-01-02', `20260102T000000000Z-${strange.id}.json`),
    JSON.stringify({ ...strange, kind: 'dance' })
  )
  await writeFile(join(folder, '2026-01-02', `20260102T000000001Z-${randomUUID()}.json`), '{"object"')
  await writeFile(join(folder, '2026-01-02', 'notes.json'), 'none')
  await writeFile(join(folder, 'notes'), 'none')
  const after = createActivity(core.repository, log)
  t.same(await after.list('acme'), [good])
  t.equal(await after.find('acme', strange.id), null)
  t.match(lines, [{ level: 40 }, { level: 40 }, { level: 40 }])
})

t.test("a job that can't be written is told, and found while the process lives", async t => {
  const { core, backupDir } = await testCore(t)
  const activity = createActivity(core.repository, core.log)
  const kept = job('2026-01-01T00:00:00.000Z')
  await mkdir(join(backupDir, 'acme'), { recursive: true })
  await writeFile(join(backupDir, 'acme', 'activity'), 'in the way')
  await t.rejects(activity.keep(kept), { code: 'REPOSITORY_UNAVAILABLE' })
  t.same(await activity.find('acme', kept.id), kept)
})

t.test('what a crash left half written is removed at the start', async t => {
  const { core, backupDir } = await testCore(t)
  const activity = createActivity(core.repository, core.log)
  await activity.keep(job('2026-01-01T00:00:00.000Z'))
  const day = join(backupDir, 'acme', 'activity', '2026-01-01')
  await writeFile(join(day, `.${randomUUID()}.partial`), '{"object"')
  await core.repository.removePartials()
  t.equal((await readdir(day)).length, 1)
  t.match(await createActivity(core.repository, core.log).list('acme'), [{ state: 'succeeded' }])
})
