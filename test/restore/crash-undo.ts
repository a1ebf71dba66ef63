import t from 'tap'
import { killAt, restoreOther, runChild, undoable } from '../support/crash.js'
import type { Action } from '../support/crash-child.js'
import { createSite } from '../support/restore-site.js'

t.test('when an undo is cut off', async t => {
  const site = await createSite(t)
  const undo = async (): Promise<Action> => {
    if ((await undoable(site)) === undefined) await runChild(site, await restoreOther(site))
    return { do: 'undo', restoreId: (await undoable(site)) as string }
  }
  t.same(await killAt(site, undo, 30, 70), [])
})
