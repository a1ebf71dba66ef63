import { mkdtemp, rm } from 'node:fs/promises'
import { randomUUID } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { AppError } from '../../src/errors.js'
import {
  commit,
  endRehearsal,
  prepare,
  release,
  rollForward,
  settle,
  undo,
  type Transaction
} from '../../src/restore/coordinator.js'
import { createJournal } from '../../src/restore/journal.js'
import type { Participant } from '../../src/restore/participant.js'
import { isSettled } from '../../src/restore/restore-state.js'
import type { RestoreReport } from '../../src/restore/report.js'
import { testJob } from '../support/job.js'

type Step = Exclude<keyof Participant, 'name'>
const report: RestoreReport = { database: null, files: null, disk: [], durationMs: 1, warnings: [] }
const failure = new AppError('DISK_FULL', 'disk-full', 'full')

/** Participants that only note what they are asked, and fail where they are told, once or always. */
async function setup(t: Test, failing: Record<string, number> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'dab-coordinator-'))
  const journal = await createJournal(folder, {
    restoreId: randomUUID(),
    backupId: randomUUID(),
    organizationId: 'acme',
    startedBy: 'x',
    dryRun: false,
    keepCheckpoint: true,
    checkpointBackupId: null,
    database: null,
    files: true
  })
  t.teardown(async () => {
    await journal.close()
    await rm(folder, { recursive: true })
  })
  const calls: string[] = []
  const participant = (name: 'database' | 'files'): Participant => {
    const step = (what: Step) => async () => {
      const call = `${name}.${what}`
      calls.push(call)
      if ((failing[call] ?? 0) > 0) {
        failing[call] = (failing[call] ?? 0) - 1
        throw failure
      }
    }
    const steps = ['prepare', 'ready', 'requireUndoable', 'revert', 'discard', 'settle', 'release'] as const
    return {
      name,
      ...Object.fromEntries(steps.map(what => [what, step(what)])),
      report: async () => {
        await step('report')()
        return { warnings: [name] }
      },
      isFinal: async () => false,
      commit: async () => {
        await step('commit')()
        return 5
      }
    } as unknown as Participant
  }
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  const transaction: Transaction = {
    journal,
    participants: [participant('database'), participant('files')],
    removeCheckpointBackup: async () => {},
    log: log as never
  }
  return { transaction, calls, steps: () => journal.lines.map(({ step }) => step).join(' ') }
}

t.test('all of it goes forward', async t => {
  const { transaction, calls, steps } = await setup(t)
  t.same(await prepare(transaction, false, testJob()), { warnings: ['database', 'files'] })
  t.match(await commit(transaction, () => report), { durationMs: 1, outageMs: 10 })
  t.equal(steps(), 'begin prepared commit done settled')
  t.ok(calls.indexOf('files.prepare') < calls.indexOf('database.ready'), 'what keeps others waiting comes last')
  t.ok(calls.indexOf('database.commit') < calls.indexOf('files.commit'))
  await release(transaction)
  t.equal(steps(), 'begin prepared commit done settled release released')
})

for (const name of ['database', 'files']) {
  for (const step of ['prepare', 'ready', 'report']) {
    t.test(`${name} fails to ${step}: everything goes back`, async t => {
      const { transaction, calls, steps } = await setup(t, { [`${name}.${step}`]: 1 })
      await t.rejects(prepare(transaction, false, testJob()), failure)
      t.equal(steps(), 'begin rolled-back')
      t.ok(calls.includes('database.discard') && calls.includes('files.discard'))
    })
  }

  t.test(`${name} fails to commit: decided in the journal, then everything goes back`, async t => {
    const { transaction, calls, steps } = await setup(t, { [`${name}.commit`]: 1 })
    await prepare(transaction, false, testJob())
    await t.rejects(
      commit(transaction, () => report),
      failure
    )
    t.equal(steps(), 'begin prepared commit rollback rolled-back')
    t.ok(calls.indexOf('files.revert') < calls.indexOf('database.discard'), 'nothing is removed before all are back')
  })

  t.test(`${name} can't go back: the next start has to`, async t => {
    const { transaction, steps } = await setup(t, { 'files.commit': 1, [`${name}.revert`]: 1 })
    await prepare(transaction, false, testJob())
    await t.rejects(
      commit(transaction, () => report),
      { code: 'RESTORE_UNFINISHED' }
    )
    t.equal(steps(), 'begin prepared commit rollback')
  })

  t.test(`${name} says that there is nothing to undo to: nothing is decided`, async t => {
    const { transaction, calls, steps } = await setup(t, { [`${name}.requireUndoable`]: 1 })
    await t.rejects(undo(transaction), failure)
    t.equal(steps(), 'begin')
    t.notOk(calls.some(call => call.endsWith('revert')))
  })

  t.test(`${name} refuses to be undone: all go forward again`, async t => {
    const { transaction, steps } = await setup(t, { [`${name}.revert`]: 1 })
    await prepare(transaction, false, testJob())
    await commit(transaction, () => report)
    await t.rejects(undo(transaction), failure)
    t.equal(steps(), 'begin prepared commit done settled undo commit done settled')
  })

  t.test(`${name} can't tidy up after an undo: it is undone all the same, and not told as a failure to`, async t => {
    const { transaction, steps } = await setup(t, { [`${name}.discard`]: 1 })
    await prepare(transaction, false, testJob())
    await commit(transaction, () => report)
    await t.rejects(undo(transaction), { code: 'RESTORE_UNFINISHED', reason: 'not-finished' })
    t.equal(steps(), 'begin prepared commit done settled undo')
  })

  t.test(`${name} can't drop its checkpoint: it is none any more, and is dropped later`, async t => {
    const { transaction, steps } = await setup(t, { [`${name}.release`]: 1 })
    await t.rejects(release(transaction), failure)
    t.equal(steps(), 'begin release')
    await release(transaction)
    t.equal(steps(), 'begin release released')
  })
}

t.test('a cancelled preparation says so and leaves nothing', async t => {
  const { transaction, steps } = await setup(t)
  const reason = new AppError('JOB_CANCELLED', 'job-cancelled', 'cancelled')
  await t.rejects(prepare(transaction, false, testJob({ signal: AbortSignal.abort(reason) })), reason)
  t.equal(steps(), 'begin rolled-back')
})

t.test('a rehearsal commits nothing', async t => {
  const { transaction, calls, steps } = await setup(t)
  await prepare(transaction, true, testJob())
  await endRehearsal(transaction, report)
  t.equal(steps(), 'begin rehearsed')
  t.notOk(calls.some(call => /commit|revert|release/.test(call)))
})

t.test('going forward again after a crash asks everybody again', async t => {
  const { transaction, calls, steps } = await setup(t)
  await transaction.journal.append({ step: 'prepared', report })
  await transaction.journal.append({ step: 'commit' })
  await rollForward(transaction)
  t.equal(steps(), 'begin prepared commit done settled')
  t.same(calls.slice(0, 2), ['database.commit', 'files.commit'])
})

t.test('what nobody can tell is not decided', async t => {
  const { transaction, steps } = await setup(t)
  const unknown = new AppError('RESTORE_UNFINISHED', 'commit-unknown', 'nobody knows')
  transaction.participants[1]!.commit = async () => {
    throw unknown
  }
  await prepare(transaction, false, testJob())
  await t.rejects(
    commit(transaction, () => report),
    unknown
  )
  t.equal(steps(), 'begin prepared commit', 'the next start finds out')
})

t.test('what could not be tidied up is tidied up later', async t => {
  const { transaction, steps } = await setup(t, { 'database.settle': 1 })
  await prepare(transaction, false, testJob())
  t.match(await commit(transaction, () => report), { durationMs: 1, outageMs: 10 }, 'the restore is done all the same')
  t.equal(steps(), 'begin prepared commit done')
  t.equal(isSettled(transaction.journal.lines), false)
  await settle(transaction)
  t.equal(isSettled(transaction.journal.lines), true)
})

t.test("one that can't go back keeps all from going back", async t => {
  const { transaction, steps } = await setup(t, { 'database.commit': 1 })
  transaction.participants[1]!.isFinal = async () => true
  await prepare(transaction, false, testJob())
  await t.rejects(
    commit(transaction, () => report),
    { code: 'RESTORE_UNFINISHED' }
  )
  t.equal(steps(), 'begin prepared commit')
  await rollForward(transaction)
  t.equal(steps(), 'begin prepared commit done settled')
})
