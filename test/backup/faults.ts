import { randomBytes } from 'node:crypto'
import { mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createBackup } from '../../src/backup/create.js'
import type { Core } from '../../src/core.js'
import { createLocalRepository } from '../../src/repository/local.js'
import { buildTestApp } from '../support/app.js'
import { smallDisk } from '../support/disk.js'
import { testCore } from '../support/core.js'
import { testJob } from '../support/job.js'
import { unixTime } from '../support/tokens.js'

let injected = 0
t.teardown(() => {
  t.comment(`${injected} faults of BACKUP_DIR injected`)
})

async function create(core: Core, onPhase: (phase: string) => void = () => {}): Promise<string> {
  return (
    await createBackup(
      core,
      { organizationId: 'acme', type: 'files', createdBy: 'tester', createdByEmail: null },
      testJob({ onPhase })
    )
  ).id
}

async function setUp(t: Test) {
  const parts = await testCore(t)
  await mkdir(join(parts.uploadDir, 'acme'))
  for (let file = 0; file < 20; file += 1)
    await writeFile(join(parts.uploadDir, 'acme', `${file}.jpg`), randomBytes(100_000))
  await parts.core.repository.open()
  t.teardown(async () => {
    await parts.core.repository.close()
  })
  return { ...parts, away: `${parts.backupDir}-away`, elsewhere: `${parts.backupDir}-elsewhere` }
}

/** What happens to BACKUP_DIR under a running service, and how it is put back. */
const faults: Record<string, (place: { backupDir: string; away: string; elsewhere: string }) => void> = {
  'moved away': ({ backupDir, away }) => {
    renameSync(backupDir, away)
  },
  'replaced by a link': ({ backupDir, away, elsewhere }) => {
    renameSync(backupDir, away)
    mkdirSync(elsewhere)
    symlinkSync(elsewhere, backupDir)
  },
  'replaced by an empty folder': ({ backupDir, away, elsewhere }) => {
    renameSync(backupDir, away)
    mkdirSync(backupDir)
    mkdirSync(elsewhere)
  }
}

t.test('BACKUP_DIR is taken away in the middle of a backup', async t => {
  const phases = new Set<string>()
  await create((await setUp(t)).core, phase => phases.add(phase))
  t.ok(phases.size > 2, [...phases].join(', '))
  for (const [name, fault] of Object.entries(faults)) {
    for (const at of phases) {
      const parts = await setUp(t)
      const { core, backupDir, away, elsewhere } = parts
      const first = await create(core)
      let harmed = false
      const failure = await create(core, phase => {
        if (phase !== at || harmed) return
        harmed = true
        fault(parts)
      }).then(
        () => null,
        (error: { code?: string }) => error
      )
      injected += 1
      const what = `${name} at ${at}`
      t.equal(failure?.code, 'REPOSITORY_UNAVAILABLE', what)
      t.same(await readdir(elsewhere).catch(() => []), [], `${what}: nothing is written elsewhere`)
      t.same(name === 'moved away' ? [] : await readdir(backupDir), [], `${what}: and nothing in its place`)
      await rm(backupDir, { recursive: true, force: true })
      await rename(away, backupDir)
      await core.repository.removePartials()
      await core.catalog.reconcile()
      const names = await readdir(join(backupDir, 'acme'))
      t.equal(
        names.filter(name => name.endsWith('.zip')).length,
        names.filter(name => name.endsWith('.json')).length,
        `${what}: an archive for each record`
      )
      t.ok(names.includes(`backup-${first}.zip`), `${what}: what was there is there`)
      t.same(
        names.filter(name => name.startsWith('.')),
        [],
        `${what}: no part of an archive`
      )
      await create(core)
      await core.repository.close()
    }
  }
})

t.test('BACKUP_DIR is removed for good in the middle of a backup', async t => {
  const { core, backupDir } = await setUp(t)
  await t.rejects(
    create(core, phase => {
      if (phase === 'files') rmSync(backupDir, { recursive: true, force: true })
    }),
    { code: 'REPOSITORY_UNAVAILABLE' }
  )
  t.same(await readdir(join(backupDir, '..')), ['uploads'], 'it is not made again')
  injected += 1
})

t.test('the disk of BACKUP_DIR fills up in the middle of a backup', async t => {
  const disk = await smallDisk(t, '1m')
  if (disk === null) {
    t.comment('not tried: no file system can be mounted here')
    return
  }
  const repository = createLocalRepository({ directory: join(disk.folder, 'backups') })
  const { core, uploadDir } = await testCore(t, { repository })
  await mkdir(join(uploadDir, 'acme'))
  for (let file = 0; file < 20; file += 1) await writeFile(join(uploadDir, 'acme', `${file}.jpg`), randomBytes(100_000))
  await t.rejects(create(core), { code: 'DISK_FULL' })
  t.same(
    (await readdir(disk.folder, { recursive: true })).filter(name => /\.(zip|json|partial)$/.test(name)),
    []
  )
  injected += 1
})

t.test('a token that expires during a long job ends nothing', async t => {
  const { app, as, core, uploadDir } = await buildTestApp(t)
  await mkdir(join(uploadDir, 'acme'))
  const expiresAt = unixTime() + 2
  const headers = as('OWNER', 'acme', { exp: expiresAt })
  const { createArchive } = core.repository
  core.repository.createArchive = async (...place) => {
    while (unixTime() <= expiresAt) await new Promise(resolve => setTimeout(resolve, 20))
    return await createArchive(...place)
  }
  const created = await app.inject({ method: 'POST', url: '/api/backup/create', headers, payload: { type: 'files' } })
  t.equal(created.statusCode, 201, 'the job goes on, and its answer comes')
  t.equal((await app.inject({ url: '/api/backup/list', headers })).statusCode, 401, 'the token is not good for more')
  t.equal((await app.inject({ url: '/api/backup/list', headers: as() })).json<object[]>().length, 1)
})
