import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { randomUUID } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createJournal, listJournals, openJournal, readJournal, type Begin } from '../../src/restore/journal.js'
import { hasCheckpoint, keepsCheckpoint, stateOf } from '../../src/restore/restore-state.js'

async function setup(t: Test) {
  const folder = await mkdtemp(join(tmpdir(), 'dab-journal-'))
  t.teardown(async () => await rm(folder, { recursive: true }))
  const begin: Omit<Begin, 'at' | 'step'> = {
    restoreId: randomUUID(),
    backupId: randomUUID(),
    organizationId: 'acme',
    startedBy: 'é\n',
    dryRun: false,
    keepCheckpoint: true,
    checkpointBackupId: null,
    database: null,
    files: true
  }
  const path = join(folder, `${begin.restoreId}.journal`)
  return { folder, begin, path }
}

t.test('what is written is read, and facts add up', async t => {
  const { folder, begin } = await setup(t)
  const journal = await createJournal(folder, begin)
  await journal.note({ liveOid: '1' })
  await journal.note({ scratchOid: '2' })
  await journal.append({ step: 'commit' })
  await journal.close()
  t.same(await listJournals(folder), [begin.restoreId])
  const opened = await openJournal(folder, begin.restoreId)
  t.match(opened?.begin, begin)
  t.same(opened?.facts(), { liveOid: '1', scratchOid: '2' })
  t.equal(stateOf(opened?.lines ?? []), 'committing')
  await opened?.close()
  await t.rejects(createJournal(folder, begin), { code: 'REPOSITORY_UNAVAILABLE' }, 'never over another')
})

t.test('a last line that is torn at any length is cut off, and the next one is whole', async t => {
  const { folder, begin, path } = await setup(t)
  const journal = await createJournal(folder, begin)
  await journal.note({ liveOid: null })
  const before = (await readFile(path)).length
  await journal.append({ step: 'commit' })
  await journal.close()
  const whole = await readFile(path)
  for (let length = before; length < whole.length; length += 1) {
    await writeFile(path, whole.subarray(0, length))
    t.equal(stateOf(await readJournal(folder, begin.restoreId)), 'preparing')
    const opened = (await openJournal(folder, begin.restoreId))!
    await opened.append({ step: 'rolled-back' })
    await opened.close()
    if ((await readJournal(folder, begin.restoreId)).map(({ step }) => step).join() !== 'begin,fact,rolled-back')
      t.fail(`torn at ${length}`)
  }
  for (let length = 0; length < whole.indexOf('\n'); length += 1) {
    await writeFile(path, whole.subarray(0, length))
    if ((await openJournal(folder, begin.restoreId)) !== null) t.fail(`the first line torn at ${length}`)
  }
})

t.test('a last line of garbage is torn, a damaged one before a whole one is not guessed at', async t => {
  const { folder, begin, path } = await setup(t)
  const journal = await createJournal(folder, begin)
  await journal.append({ step: 'commit' })
  await journal.append({ step: 'undone' })
  await journal.close()
  const whole = await readFile(path)
  await appendFile(path, Buffer.alloc(300))
  const opened = await openJournal(folder, begin.restoreId)
  t.equal(stateOf(opened?.lines ?? []), 'undone')
  await opened?.close()
  t.same(await readFile(path), whole)

  const lastLine = whole.lastIndexOf('\n', whole.length - 2) + 1
  for (let at = 0; at < whole.length; at += 1) {
    const altered = Buffer.from(whole)
    altered[at] = (altered[at] as number) ^ 1
    await writeFile(path, altered)
    const outcome = await openJournal(folder, begin.restoreId).then(
      async found => {
        await found?.close()
        return stateOf(found?.lines ?? [])
      },
      (error: { code: string }) => error.code
    )
    const expected = at < lastLine ? 'JOURNAL_DAMAGED' : 'committing'
    // The newline between the last two: both are damaged then.
    if (outcome !== expected && at !== lastLine - 1) t.fail(`altered at ${at}: ${outcome}`)
  }
})

t.test('a checkpoint that is being dropped is none any more', async t => {
  const { folder, begin } = await setup(t)
  const journal = await createJournal(folder, begin)
  await journal.append({ step: 'commit' })
  await journal.append({ step: 'done', report: { database: null, files: null, disk: [], durationMs: 1, warnings: [] } })
  t.ok(keepsCheckpoint(journal.lines))
  await journal.append({ step: 'release' })
  t.notOk(keepsCheckpoint(journal.lines))
  t.ok(hasCheckpoint(journal.lines), 'something of it may be there')
  await journal.append({ step: 'released' })
  t.notOk(hasCheckpoint(journal.lines))
  t.equal(stateOf(journal.lines), 'done')
  await journal.close()
  t.same((await readdir(folder)).length, 1)
})
