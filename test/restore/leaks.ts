import type { Worker } from 'node:worker_threads'
import t from 'tap'
import { restoreBackup } from '../../src/restore/restore.js'
import { testJob } from '../support/job.js'
import { createSite, organizationId } from '../support/restore-site.js'
import { traces } from '../support/traces.js'

t.setTimeout(300_000)

t.test(
  'a thread that crashes fails the restore, whichever it is, and leaves nothing',
  { skip: process.platform === 'linux' ? false : 'needs /proc' },
  async t => {
    const site = await createSite(t)
    const restore = async (dryRun: boolean): Promise<unknown> =>
      await restoreBackup(
        site.core,
        {
          organizationId,
          backupId: site.states.a.backupId,
          validateChecksum: true,
          rollbackOnFailure: true,
          dryRun,
          startedBy: 'tester'
        },
        testJob({ core: site.core })
      )
    await restore(true)
    const before = await traces()

    let crashed = 0
    for (;;) {
      let made = 0
      const onWorker = (worker: Worker): void => {
        if (made++ === crashed) void worker.terminate()
      }
      process.on('worker', onWorker)
      const failure = await restore(false).then(
        () => null,
        (error: Error) => error
      )
      process.off('worker', onWorker)
      if (made <= crashed) {
        t.equal(failure, null, 'with all its threads it succeeds')
        break
      }
      crashed += 1
      t.match(failure, { message: /thread ended unexpectedly/ }, `thread ${crashed}`)
      t.equal(await site.look(), 'bb')
      t.strictSame(await site.leftovers(), [])
      t.strictSame(await traces(), before)
    }
    t.ok(crashed >= 2, 'one that loads the dump, and one that extracts the files')
    t.equal(await site.look(), 'aa')
  }
)
