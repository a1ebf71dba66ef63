import t from 'tap'
import { killAt, restoreOther } from '../support/crash.js'
import { createSite } from '../support/restore-site.js'

t.test('while it prepares', async t => {
  const site = await createSite(t)
  t.same(await killAt(site, async () => await restoreOther(site), 37, 90), [])
})
