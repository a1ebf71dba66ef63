import { setTimeout } from 'node:timers/promises'
import postgres from 'postgres'
import t from 'tap'
import { restoreBackup } from '../../src/restore/restore.js'
import { testJob } from '../support/job.js'
import { createSite, organizationId } from '../support/restore-site.js'

t.test('clients that ask through a restore see the old state, then the new one, and nothing else', async t => {
  const site = await createSite(t)
  let over = false
  const phases: string[] = []

  /** What one client was answered, in its order: a state, or why there was no answer. */
  async function client(): Promise<string[]> {
    const answers: string[] = []
    const ask = async (times: number): Promise<void> => {
      const { host, port, user, password, database } = site.connection
      // Where a session is ended while the driver asks for types, it lets a rejection go unhandled.
      const sql = postgres({ host, port, user, password: password ?? '', database, max: 1, fetch_types: false })
      try {
        for (; times > 0; times -= 1) {
          const [row] = await sql<
            [{ a: number; b: number; notes: string }]
          >`SELECT count(*) FILTER (WHERE state = 'a')::int AS a,
            count(*) FILTER (WHERE state = 'b')::int AS b, (SELECT string_agg(DISTINCT left(text, 1), '') FROM notes) AS notes FROM items`
          answers.push(`${row.a} ${row.b} ${row.notes}`)
          await setTimeout(5)
        }
      } finally {
        await sql.end({ timeout: 5 })
      }
    }
    while (!over)
      await ask(5).catch((error: { code?: string }) => {
        answers.push(`error ${error.code ?? ''}`)
      })
    await ask(1)
    return answers
  }

  const clients = [client(), client()]
  const { report } = await restoreBackup(
    site.core,
    {
      organizationId,
      backupId: site.states.a.backupId,
      validateChecksum: true,
      rollbackOnFailure: true,
      dryRun: false,
      startedBy: 't'
    },
    testJob({
      core: site.core,
      onPhase: phase => {
        phases.push(phase)
      }
    })
  ).finally(() => {
    over = true
  })
  t.ok(Number.isInteger(report.outageMs), 'the report tells how long they were shut out')
  t.same(phases.slice(-1), ['commit'])
  for (const answers of await Promise.all(clients)) {
    const [old, restored] = ['0 200 b', '200 0 a']
    const [lastOld, firstRestored] = [answers.lastIndexOf(old), answers.indexOf(restored)]
    const failed = answers.filter(answer => answer.startsWith('error'))
    t.comment(
      `${lastOld + 1} answers before, ${failed.length} failed (${failed.join(', ')}), ${answers.length - firstRestored} after; outage ${report.outageMs} ms`
    )
    t.ok(lastOld >= 0 && lastOld < firstRestored, 'first the old state, then the restored one')
    t.same(
      answers.filter(answer => answer !== old && answer !== restored && !answer.startsWith('error')),
      [],
      'no state between'
    )
    t.same(
      answers.filter((answer, index) => answer.startsWith('error') && (index < lastOld || index > firstRestored)),
      [],
      'down in the swap only'
    )
  }
})
