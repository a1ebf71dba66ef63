import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createBackup } from '../../src/backup/create.js'
import { recoverRestores, releaseCheckpoints } from '../../src/restore/recover.js'
import { restoreBackup } from '../../src/restore/restore.js'
import { undoRestore } from '../../src/restore/undo.js'
import { stagingFolder } from '../../src/storage/staging-folder.js'
import { recover, runChild, undoable } from '../support/crash.js'
import { testJob } from '../support/job.js'
import { coreOf, createFolders, listTree, organizationId, type Site } from '../support/restore-site.js'

const root = process.getuid?.() === 0

interface Mounted extends Site {
  live: string
  mount: () => void
  unmount: () => void
}

/**
 * An organization whose upload folder is a mount of its own: a folder of the same disk, as a container would have it.
 */
async function setUp(t: Test): Promise<Mounted | null> {
  const folders = await createFolders(t, 'postgres://nobody@127.0.0.1:1/nothing')
  const disk = await mkdtemp(join(tmpdir(), 'dab-mount-'))
  const live = join(folders.uploadDir, organizationId)
  await mkdir(live)
  const mount = (): void => {
    execFileSync('mount', ['--bind', disk, live], { stdio: 'ignore' })
  }
  const unmount = (): void => {
    execFileSync('umount', [live], { stdio: 'ignore' })
  }
  try {
    mount()
  } catch {
    return null
  }
  t.teardown(async () => {
    try {
      unmount()
    } catch {
      /* the test has done so */
    }
    await rm(disk, { recursive: true })
  })
  const core = coreOf(folders)
  const look = async (): Promise<string> =>
    (await listTree(live)).filter(line => !line.startsWith(`"${stagingFolder}`)).join('\n')
  const states = {} as Site['states']
  for (const state of ['a', 'b'] as const) {
    await fill(live, state)
    const { id } = await createBackup(
      core,
      { organizationId, type: 'files', createdBy: 'tester', createdByEmail: null },
      testJob()
    )
    states[state] = { backupId: id, fingerprint: await look() }
  }
  const site: Site = {
    ...folders,
    core,
    connection: core.database.connection(),
    user: 'nobody',
    states,
    look: async () => {
      const now = await look()
      return (['a', 'b'] as const).find(state => states[state].fingerprint === now)?.repeat(2) ?? now
    },
    leftovers: async () => {
      const kept = await undoable(site)
      return (await readdir(join(live, stagingFolder)).catch(() => [])).filter(name => name !== kept)
    }
  }
  return { ...site, live, mount, unmount }
}

async function fill(live: string, state: string): Promise<void> {
  for (const name of await readdir(live)) await rm(join(live, name), { recursive: true })
  await mkdir(join(live, 'photos', state), { recursive: true })
  const time = new Date(Date.UTC(2024, 1, 3, 4, 5, state === 'a' ? 6 : 8))
  const files = ['same.txt', `only ${state}.txt`, `photos/${state}/one`, 'photos/two']
  for (const name of files) {
    await writeFile(join(live, name), name === 'same.txt' ? 'same' : `${state} of ${name}`)
    await utimes(join(live, name), time, time)
  }
  for (const name of [`photos/${state}`, 'photos', '.']) await utimes(join(live, name), time, time)
}

const withoutOwnTime = (tree: string): string => tree.replace(/^"" (\d+) (\d+) \d+$/m, '"" $1 $2')

const request = (backupId: string, change: object = {}) => ({
  organizationId,
  backupId,
  validateChecksum: true,
  rollbackOnFailure: true,
  dryRun: false,
  startedBy: 'tester',
  ...change
})

t.test('an upload folder that is a mount', { skip: root ? false : 'needs root to mount one' }, async t => {
  const site = await setUp(t)
  if (site === null) return t.pass('mounting is not allowed here')
  const { core, live, states } = site

  await t.test('is rehearsed without a trace', async t => {
    const { report } = await restoreBackup(core, request(states.a.backupId, { dryRun: true }), testJob({ core }))
    t.match(report, {
      files: {
        folders: [
          { folder: '.', added: 1, removed: 1, unchanged: 1 },
          { folder: 'photos', added: 1, changed: 1, removed: 1 }
        ]
      },
      warnings: [/a mount of its own/]
    })
    t.equal(await site.look(), 'bb', 'not even a time')
    t.notOk((await readdir(live)).includes(stagingFolder))
  })

  await t.test('with another mount inside is refused: a rename would carry that off', async t => {
    const inner = join(live, 'photos', 'two words')
    await mkdir(inner)
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', inner])
    try {
      await t.rejects(restoreBackup(core, request(states.a.backupId), testJob({ core })), {
        code: 'PREFLIGHT_FAILED',
        reason: 'mount-inside',
        message: /"photos\/two words"/
      })
    } finally {
      execFileSync('umount', [inner])
    }
    await rm(inner, { recursive: true })
    await fill(live, 'b')
    t.equal(await site.look(), 'bb')
  })

  await t.test('is restored and undone; what the restore keeps is in no backup', async t => {
    const { restoreId } = await restoreBackup(core, request(states.a.backupId), testJob({ core }))
    t.equal(await site.look(), 'aa')
    t.same(await readdir(join(live, stagingFolder)), [restoreId])
    t.ok([...(await core.storage.list(organizationId)).entries].every(({ path }) => !path.startsWith(stagingFolder)))
    await undoRestore(core, { organizationId, restoreId, startedBy: 'tester' }, testJob({ core }))
    t.equal(await site.look(), 'bb')
    t.notOk((await readdir(live)).includes(stagingFolder), 'nothing of ours is left among the files')
    await restoreBackup(core, request(states.a.backupId), testJob({ core }))
    await releaseCheckpoints(core, organizationId, null)
    t.equal(await site.look(), 'aa')
    t.notOk((await readdir(live)).includes(stagingFolder))
  })

  await t.test('a name in it that is not UTF-8 goes with the former files, and comes back', async t => {
    const names = async (): Promise<string[]> =>
      (await readdir(live, { encoding: 'latin1' })).filter(name => name !== stagingFolder).sort()
    await writeFile(Buffer.concat([Buffer.from(`${live}/latin-`), Buffer.of(0xe9)]), '')
    const before = await names()
    const other = states[before.includes('only a.txt') ? 'b' : 'a'].backupId
    const rehearsed = await restoreBackup(core, request(other, { dryRun: true }), testJob({ core }))
    t.match(rehearsed.report.warnings.join('\n'), /gone with the former folder: "latin-\\xe9"/)
    const { restoreId } = await restoreBackup(core, request(other), testJob({ core }))
    t.same(
      (await names()).filter(name => name.startsWith('latin')),
      [],
      'as the dry run has said'
    )
    await undoRestore(core, { organizationId, restoreId, startedBy: 'tester' }, testJob({ core }))
    t.same(await names(), before)
    await rm(Buffer.concat([Buffer.from(`${live}/latin-`), Buffer.of(0xe9)]))
  })

  await t.test('is old or new after a crash at any point', async t => {
    const other = async (): Promise<string> => states[(await site.look()) === 'aa' ? 'b' : 'a'].backupId
    const { points } = (await runChild(site, { do: 'restore', backupId: await other(), keep: true }))!
    const from = `before rename ${organizationId}/`
    const { look } = site
    // The time of the mounted folder itself is that of the last tidying up.
    site.look = async () => {
      const now = withoutOwnTime(await look())
      return (
        (['a', 'b'] as const)
          .find(state => now === `${state}${state}` || withoutOwnTime(states[state].fingerprint) === now)
          ?.repeat(2) ?? now
      )
    }
    const rest = points.slice(points.findIndex(point => point.includes(from)))
    const ended = new Set<boolean>()
    for (let at = 1; at <= rest.length; at += 5) {
      const before = await site.look()
      await runChild(site, { do: 'restore', backupId: await other(), keep: true }, { kind: 'kill', at, from })
      t.match(await recover(site), { state: /^(aa|bb)$/, leftovers: [] }, `${at} ${String(rest[at - 1])}`)
      ended.add((await site.look()) === before)
      if ((await undoable(site)) === undefined) continue
      await runChild(site, { do: 'undo', restoreId: (await undoable(site)) as string }, { kind: 'kill', at, from })
      t.match(await recover(site), { state: /^(aa|bb)$/, leftovers: [] }, `undo ${at}`)
    }
    t.ok(ended.has(false))
  })

  await t.test('is waited for when it is not mounted', async t => {
    const before = await site.look()
    const backupId = states[before === 'aa' ? 'b' : 'a'].backupId
    // In the midst of the exchange, which begins with these; renames were tried before.
    await runChild(site, { do: 'restore', backupId, keep: true }, { kind: 'kill', at: 12, from: 'attributes-fresh' })
    site.unmount()
    await t.rejects(recoverRestores(core), { code: 'STORAGE_UNAVAILABLE', reason: 'not-mounted' })
    site.mount()
    t.match(await recover(site), { state: before === 'aa' ? 'bb' : 'aa', leftovers: [] }, 'what had begun goes on')
  })
})

t.test(
  'what is mounted inside a folder after its restore is neither carried off nor emptied',
  { skip: root ? false : 'needs root to mount one' },
  async t => {
    const folders = await createFolders(t, 'postgres://nobody@127.0.0.1:1/nothing')
    const { uploadDir } = folders
    const core = coreOf(folders)
    const live = join(uploadDir, organizationId)
    const share = await mkdtemp(join(tmpdir(), 'dab-share-'))
    t.teardown(async () => {
      await rm(share, { recursive: true })
    })
    await writeFile(join(share, 'precious'), "somebody else's")
    await mkdir(join(live, 'share'), { recursive: true })
    const { id } = await createBackup(
      core,
      { organizationId, type: 'files', createdBy: 'tester', createdByEmail: null },
      testJob()
    )
    const { restoreId } = await restoreBackup(core, request(id), testJob({ core }))

    async function whileMounted(place: string, work: () => Promise<void>): Promise<void> {
      execFileSync('mount', ['--bind', share, place], { stdio: 'ignore' })
      try {
        await work()
      } finally {
        execFileSync('umount', ['--recursive', place], { stdio: 'ignore' })
      }
      t.same(await readdir(share), ['precious'])
    }
    try {
      await whileMounted(join(live, 'share'), async () => {})
    } catch {
      return t.pass('mounting is not allowed here')
    }
    await whileMounted(join(live, 'share'), async () => {
      await t.rejects(undoRestore(core, { organizationId, restoreId, startedBy: 'tester' }, testJob({ core })), {
        code: 'RESTORE_NOT_UNDOABLE',
        reason: 'mount-inside',
        message: /"share"/,
        remedy: /Unmount it/
      })
      t.same(await readdir(join(live, 'share')), ['precious'])
    })
    await whileMounted(join(uploadDir, stagingFolder, restoreId, 'former', 'share'), async () => {
      await releaseCheckpoints(core, organizationId, null)
    })
    t.same(await readdir(join(uploadDir, stagingFolder)), [restoreId], 'it waits')
    await recoverRestores(core)
    t.same(await readdir(join(uploadDir, stagingFolder)), [])
  }
)
