import t from 'tap'
import { isWhole, killAt, killPsql, pointsOf, recover, restoreOther, runChild, startChild, undoable } from '../support/crash.js'
import type { Action } from '../support/crash-child.js'
import { createSite } from '../support/restore-site.js'

t.test('when an undo is cut off', async t => {
  const site = await createSite(t)
  const undo = async (): Promise<Action> => {
    if (await undoable(site) === undefined) await runChild(site, await restoreOther(site))
    return { do: 'undo', restoreId: await undoable(site) as string }
  }
  t.same(await killAt(site, undo, 20, 47), [])
})

t.test('when the checkpoint is being dropped, and when it is not kept', async t => {
  const site = await createSite(t)
  await pointsOf(site, await restoreOther(site))
  for (const at of [20, 30, 38]) {
    await runChild(site, { do: 'release' }, { kind: 'kill', at })
    t.match(await recover(site), { state: 'aa', leftovers: [] }, `killed at ${at}`)
  }
  t.same(await killAt(site, async () => await restoreOther(site, false), 336, 12), [])
})

t.test('when the recovery is killed too, wherever the restore was', async t => {
  const site = await createSite(t)
  for (const at of [150, 329, 341]) {
    await runChild(site, await restoreOther(site), { kind: 'kill', at })
    for (const step of [20, 45]) await runChild(site, { do: 'recover' }, { kind: 'kill', at: step })
    const outcome = await recover(site)
    t.ok(isWhole(outcome), `${at}: ${outcome.state}`)
    t.same(outcome.leftovers, [])
  }
})

t.test('psql killed while it loads is a failure, and nothing has happened', async t => {
  const site = await createSite(t)
  const run = await startChild(site, await restoreOther(site))
  t.ok(await killPsql(run, run.answer))
  t.match(await run.answer, { error: { code: 'DATABASE_ERROR', message: /psql was ended by SIGKILL/ } })
  t.equal(await site.look(), 'bb')
  t.same(await site.leftovers(), [], 'cleaned up without a restart')
})
