import t from 'tap'
import { killAt, pointsOf, recover, restoreOther, runChild } from '../support/crash.js'
import { createSite } from '../support/restore-site.js'

t.test('when the checkpoint is being dropped, and when it is not kept', async t => {
  const site = await createSite(t)
  await pointsOf(site, await restoreOther(site))
  for (const at of [24, 36]) {
    await runChild(site, { do: 'release' }, { kind: 'kill', at })
    t.match(await recover(site), { state: 'aa', leftovers: [] }, `killed at ${at}`)
  }
  const points = await pointsOf(site, await restoreOther(site, false))
  t.same(await killAt(site, async () => await restoreOther(site, false), points.length - 40, 20), [])
})
