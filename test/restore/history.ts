import { randomUUID } from 'node:crypto'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Core } from '../../src/core.js'
import { keptEnded, listEnded, putAside } from '../../src/restore/ended-journals.js'
import { findRestore, listRestores, undoableRestore } from '../../src/restore/history.js'
import { createJournal, listJournals } from '../../src/restore/journal.js'
import { expireCheckpoints, finishRestores } from '../../src/restore/recover.js'
import { testCore } from '../support/core.js'
import { keptLog } from '../support/kept-log.js'
import { restoresOf } from '../support/restores.js'

const organizationId = 'acme'
const report = { database: null, files: null, disk: [], durationMs: 1, warnings: [] }

interface Site {
  core: Core
  folder: string
  lines: Array<Record<string, unknown>>
  begin: (end?: 'rehearsed' | 'done') => Promise<string>
}

/** Restores of files alone, by their journals. */
async function setUp(t: Test): Promise<Site> {
  const { log, lines } = keptLog()
  const { core } = await testCore(t, { settings: { checkpointRetentionMs: 3_600_000 }, log })
  const folder = await core.repository.journalFolder(organizationId, { make: true })
  return {
    core,
    folder,
    lines,
    async begin(end) {
      const restoreId = randomUUID()
      const journal = await createJournal(folder, {
        restoreId,
        backupId: randomUUID(),
        organizationId,
        startedBy: 't',
        dryRun: end === 'rehearsed',
        keepCheckpoint: true,
        checkpointBackupId: null,
        database: null,
        files: false
      })
      if (end !== undefined) await journal.append({ step: end, report })
      if (end === 'done') await journal.append({ step: 'settled' })
      await journal.close()
      return restoreId
    }
  }
}

t.test('restores that have ended are put aside, and told in their order, page by page', async t => {
  const { core, folder, begin } = await setUp(t)
  const ids: string[] = []
  for (let count = 0; count < 5; count += 1) ids.push(await begin('rehearsed'))
  const kept = await begin('done')
  ids.push(kept, await begin('rehearsed'), await begin('rehearsed'))
  const before = await restoresOf(core, organizationId)
  t.same(
    before.map(({ restoreId }) => restoreId),
    [...ids].reverse()
  )

  await expireCheckpoints(core)
  t.same(await listJournals(folder), [kept], 'what can be undone stays where it is looked for')
  t.equal((await listEnded(folder)).length, 7)
  t.same(await restoresOf(core, organizationId), before)
  t.match(await undoableRestore(core, organizationId), { restoreId: kept, undoable: true })
  for (const { restoreId, state } of before)
    t.match(await findRestore(core, organizationId, restoreId), { restoreId, state })
  t.equal(await findRestore(core, organizationId, randomUUID()), null)

  for (const limit of [1, 2, 3, 8]) {
    const paged: string[] = []
    for (let cursor: string | undefined, more = true; more;) {
      const { restores, next } = await listRestores(core, organizationId, {
        limit,
        ...(cursor === undefined ? {} : { cursor })
      })
      t.ok(restores.length <= limit)
      paged.push(...restores.map(({ restoreId }) => restoreId))
      more = next !== null
      cursor = next ?? undefined
    }
    t.same(paged, [...ids].reverse(), `${limit} a page`)
  }
  const { next } = await listRestores(core, organizationId, { limit: 2 })
  const [, second] = await listEnded(folder)
  await rm(join(folder, second!.name))
  t.same(
    (await listRestores(core, organizationId, { limit: 1, cursor: next! })).restores.map(({ restoreId }) => restoreId),
    [kept],
    'also when the last of a page was forgotten'
  )
  for (const cursor of ['x', Buffer.from('7').toString('base64url'), Buffer.from('x y').toString('base64url')]) {
    await t.rejects(listRestores(core, organizationId, { limit: 1, cursor }), {
      code: 'BAD_REQUEST',
      reason: 'cursor-unknown'
    })
  }
  const later = await begin('rehearsed')
  t.equal((await restoresOf(core, organizationId))[0]?.restoreId, later, 'the next one counts on')
})

t.test('what is put aside is not read again until a list asks for it', async t => {
  const { core, folder, begin, lines } = await setUp(t)
  await begin('rehearsed')
  await expireCheckpoints(core)
  const [ended] = await listEnded(folder)
  await rm(join(folder, ended!.name))
  await mkdir(join(folder, ended!.name))
  await expireCheckpoints(core)
  await finishRestores(core, [organizationId])
  t.same(lines, [])
})

t.test('the oldest are forgotten, and the numbers go on', async t => {
  const { core, folder, begin } = await setUp(t)
  await mkdir(join(folder, 'ended'))
  for (let number = 1; number <= keptEnded; number += 1) {
    await writeFile(join(folder, 'ended', `${String(number).padStart(10, '0')}-${randomUUID()}.journal`), '')
  }
  const newest = await begin('rehearsed')
  await expireCheckpoints(core)
  const ended = await listEnded(folder)
  t.equal(ended.length, keptEnded)
  t.match([ended[0], ended.at(-1)], [{ number: keptEnded + 1, restoreId: newest }, { number: 2 }])
  t.same(
    (await listRestores(core, organizationId, { limit: 5 })).restores.map(({ restoreId }) => restoreId),
    [newest],
    'one that is damaged is left out'
  )
})

t.test("a journal that can't be put aside stops no restore", async t => {
  const { core, folder, begin, lines } = await setUp(t)
  const restoreId = await begin('rehearsed')
  await writeFile(join(folder, 'ended'), 'in the way')
  await t.rejects(restoresOf(core, organizationId), 'what stands there is no folder')
  await rm(join(folder, 'ended'))
  await mkdir(join(folder, 'ended', `0000000001-${restoreId}.journal`), { recursive: true })
  await finishRestores(core, [organizationId])
  t.match(lines, [{ level: 40, restoreId }])
  await rm(join(folder, 'ended'), { recursive: true })
  await finishRestores(core, [organizationId])
  t.same(await readdir(folder), ['ended'])
})

t.test('a list that is read while a journal is put aside has it once', async t => {
  const { core, folder, begin } = await setUp(t)
  const ids = new Map<string, number>()
  for (let number = 1; number <= 30; number += 1) ids.set(await begin('rehearsed'), number)
  const moving = (async () => {
    for (const [restoreId, number] of ids) await putAside(folder, { restoreId, number })
  })()
  let looks = 0
  for (let open = true; open;) {
    open = (await listJournals(folder)).length > 0
    const seen = (await restoresOf(core, organizationId)).map(({ restoreId }) => restoreId)
    if (seen.length !== ids.size || new Set(seen).size !== ids.size) t.fail(`${seen.length} of ${ids.size}`)
    looks += 1
  }
  await moving
  t.ok(looks > 1)
})
