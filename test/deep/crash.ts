import { execa } from 'execa'
import t from 'tap'
import { compiled } from '../support/project.js'

t.setTimeout(0)

t.test('restores, undos and recoveries that are killed at random moments are whole', async t => {
  const { DEEP_SECONDS = '60', DEEP_SEED = '1' } = process.env
  const { stdout, all, exitCode } = await execa(
    process.execPath,
    [compiled('scripts/crash.js'), '--seconds', DEEP_SECONDS, '--seed', DEEP_SEED],
    { reject: false, all: true }
  )
  t.equal(exitCode, 0, all)
  t.match(stdout, / consistent, 0 mixed, 0 leftovers$/)
  t.comment(stdout.split('\n').at(-1))
})
