import t from 'tap'
import { isWhole, recover, restoreOther, runChild } from '../support/crash.js'
import { createSite } from '../support/restore-site.js'

t.test('when the recovery is killed too, wherever the restore was', async t => {
  const site = await createSite(t)
  for (const at of [150, 335]) {
    await runChild(site, await restoreOther(site), { kind: 'kill', at })
    for (const step of [30]) await runChild(site, { do: 'recover' }, { kind: 'kill', at: step })
    const outcome = await recover(site)
    t.ok(isWhole(outcome), `${at}: ${outcome.state}`)
    t.same(outcome.leftovers, [])
  }
})
