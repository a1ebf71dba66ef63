import t from 'tap'
import { killPsql, restoreOther, startChild } from '../support/crash.js'
import { createSite } from '../support/restore-site.js'

t.test('psql killed while it loads is a failure, and nothing has happened', async t => {
  const site = await createSite(t)
  const run = await startChild(site, await restoreOther(site))
  t.ok(await killPsql(run, run.answer))
  t.match(await run.answer, { error: { code: 'DATABASE_ERROR', reason: 'psql-killed', message: /SIGKILL/ } })
  t.equal(await site.look(), 'bb')
  t.same(await site.leftovers(), [], 'cleaned up without a restart')
})
