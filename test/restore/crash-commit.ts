import t from 'tap'
import { killAt, pointsOf, restoreOther } from '../support/crash.js'
import { createSite } from '../support/restore-site.js'

t.test('around the commit', async t => {
  const site = await createSite(t)
  const points = await pointsOf(site, await restoreOther(site))
  const prepared = points.findLastIndex(point => point.startsWith('before message Q GRANT') || point.includes('ROLE'))
  t.ok(prepared > 0)
  t.same(await killAt(site, async () => await restoreOther(site), prepared, 25), [])
})
