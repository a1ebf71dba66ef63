import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { openArchive } from '../../src/archive/reader.js'
import type { Backup } from '../../src/repository/record.js'
import type { RestoreResult } from '../../src/restore/report.js'
import { archiveBytes } from '../support/archive.js'
import { buildTestApp, testSecret, type TestApp } from '../support/app.js'
import { createTestDatabase } from '../support/postgres.js'

const zip = { 'content-type': 'application/zip' }
const key = (name: string): string => `${name} key `.repeat(4)
const upload = async ({ app, as }: TestApp, archive: Buffer): Promise<{ statusCode: number; json: <T>() => T }> =>
  await app.inject({ method: 'POST', url: '/api/backup/upload', headers: { ...as(), ...zip }, payload: archive })
const restore = async (
  { app, as }: TestApp,
  id: string,
  body: object = {}
): Promise<{ statusCode: number; json: <T>() => T }> =>
  await app.inject({ method: 'POST', url: `/api/backup/restore/${id}`, headers: as(), payload: body })

/** An archive of an installation with these variables. */
async function madeElsewhere(t: Test, env: NodeJS.ProcessEnv): Promise<{ archive: Buffer; backup: Backup }> {
  const { app, as, uploadDir, backupDir } = await buildTestApp(t, { env })
  await mkdir(join(uploadDir, 'acme'))
  await writeFile(join(uploadDir, 'acme', 'a.txt'), 'from elsewhere')
  const backup = (
    await app.inject({ method: 'POST', url: '/api/backup/create', headers: as(), payload: { type: 'files' } })
  ).json<Backup>()
  t.equal(backup.trusted, true)
  return { archive: await readFile(join(backupDir, 'acme', `backup-${backup.id}.zip`)), backup }
}

t.test("another installation's archive is taken when its key is known, or the operator allows it", async t => {
  const { archive, backup } = await madeElsewhere(t, { BACKUP_SIGNING_KEY: key('their') })
  const cases: Array<[string, NodeJS.ProcessEnv, boolean | 'refused']> = [
    ['a stranger', {}, 'refused'],
    ['another key', { BACKUP_SIGNING_KEY: key('our') }, 'refused'],
    ['the same key', { BACKUP_SIGNING_KEY: key('their') }, true],
    [
      'a former key',
      { BACKUP_SIGNING_KEY: key('our'), BACKUP_SIGNING_KEY_PREVIOUS: `${key('older')}\n${key('their')}` },
      true
    ],
    ['allowed', { ACCEPT_UNSIGNED_ARCHIVES: 'true' }, false]
  ]
  for (const [name, env, expected] of cases) {
    const here = await buildTestApp(t, { env })
    const answer = await upload(here, archive)
    if (expected === 'refused') {
      t.match(
        answer.json(),
        { statusCode: 422, code: 'ARCHIVE_UNTRUSTED', remedy: /BACKUP_SIGNING_KEY_PREVIOUS/ },
        name
      )
      t.same((await here.app.inject({ url: '/api/backup/list', headers: here.as() })).json(), [])
      continue
    }
    t.match(answer.json(), { id: backup.id, trusted: expected }, name)
    const plan = (await restore(here, backup.id, { dryRun: true })).json<RestoreResult>()
    t.equal(
      plan.report.warnings.some(warning => warning.startsWith('The archive carries no signature of this installation')),
      !expected,
      name
    )
    t.equal((await restore(here, backup.id)).statusCode, 200, name)
    t.equal(await readFile(join(here.uploadDir, 'acme', 'a.txt'), 'utf8'), 'from elsewhere')
  }
})

t.test('the key that is made from JWT_SECRET follows it', async t => {
  const { archive, backup } = await madeElsewhere(t, { JWT_SECRET: testSecret })
  const sameSecret = await buildTestApp(t)
  t.match((await upload(sameSecret, archive)).json(), { id: backup.id, trusted: true })
  const ownKey = await buildTestApp(t, { env: { BACKUP_SIGNING_KEY: key('our') } })
  t.match(
    (await upload(ownKey, archive)).json(),
    { code: 'ARCHIVE_UNTRUSTED' },
    "whoever knows JWT_SECRET can't sign any more"
  )
  const former = await buildTestApp(t, {
    env: { BACKUP_SIGNING_KEY: key('our'), BACKUP_SIGNING_KEY_PREVIOUS: testSecret }
  })
  t.match((await upload(former, archive)).json(), { id: backup.id, trusted: true })
})

t.test('an unsigned archive is refused, and with leave restored', async t => {
  const id = '7d4f2c1e-98a3-4b57-8f2e-6c0b1d9e3a54'
  const archive = await archiveBytes([{ path: '' }, { path: 'a.txt', content: 'unsigned' }], { id })
  t.match((await upload(await buildTestApp(t), archive)).json(), { statusCode: 422, code: 'ARCHIVE_UNTRUSTED' })
  const allowing = await buildTestApp(t, { env: { ACCEPT_UNSIGNED_ARCHIVES: 'true' } })
  t.match((await upload(allowing, archive)).json(), { id, trusted: false })
})

t.test('what was put or changed in BACKUP_DIR by hand is listed and not restored', async t => {
  const here = await buildTestApp(t)
  const { core, app, as, backupDir, uploadDir } = here
  await mkdir(join(uploadDir, 'acme'))
  await writeFile(join(uploadDir, 'acme', 'a.txt'), 'ours')
  const backup = (
    await app.inject({ method: 'POST', url: '/api/backup/create', headers: as(), payload: { type: 'files' } })
  ).json<Backup>()
  const path = join(backupDir, 'acme', `backup-${backup.id}`)
  await copyFile(`${path}.json`, `${path}.copy`)

  const forged = await archiveBytes([{ path: '' }, { path: 'a.txt', content: 'theirs' }], { id: backup.id })
  await writeFile(`${path}.zip`, forged)
  await rm(`${path}.json`)
  await core.catalog.reconcile()
  const adopted = (await app.inject({ url: `/api/backup/${backup.id}`, headers: as() })).json<Backup>()
  t.match(adopted, { size: forged.length, trusted: false })
  for (const body of [{}, { dryRun: true }, { validateChecksum: false }]) {
    t.match((await restore(here, backup.id, body)).json(), { statusCode: 422, code: 'ARCHIVE_UNTRUSTED' })
  }

  const record = JSON.parse(await readFile(`${path}.copy`, 'utf8')) as Backup
  await writeFile(`${path}.json`, JSON.stringify({ ...record, size: adopted.size, checksum: adopted.checksum }))
  await core.catalog.reconcile()
  t.match((await restore(here, backup.id)).json(), { code: 'ARCHIVE_UNTRUSTED' }, 'whatever its record says')
  t.equal(await readFile(join(uploadDir, 'acme', 'a.txt'), 'utf8'), 'ours')
  t.same((await app.inject({ url: '/api/backup/restores', headers: as() })).json(), [], 'before a restore begins')
})

t.test('a listing goes by the present keys, and a start tells of backups that none of them verifies', async t => {
  const first = await buildTestApp(t, { env: { BACKUP_SIGNING_KEY: key('first') } })
  await mkdir(join(first.uploadDir, 'acme'))
  const { id, signedBy } = (
    await first.app.inject({
      method: 'POST',
      url: '/api/backup/create',
      headers: first.as(),
      payload: { type: 'files' }
    })
  ).json<Backup>()
  t.match(signedBy, /^[0-9a-f]{16}$/)
  const cases: Array<[NodeJS.ProcessEnv, boolean]> = [
    [{ BACKUP_SIGNING_KEY: key('second') }, false],
    [{ BACKUP_SIGNING_KEY: key('second'), BACKUP_SIGNING_KEY_PREVIOUS: key('first') }, true],
    [{ BACKUP_SIGNING_KEY: key('first') }, true],
    [{}, false]
  ]
  for (const [env, trusted] of cases) {
    const logged: string[] = []
    const { app, as, core } = await buildTestApp(t, {
      env: { BACKUP_DIR: first.backupDir, ...env },
      log: pino(
        {},
        {
          write: line => {
            logged.push(line)
          }
        }
      )
    })
    await core.catalog.reconcile()
    t.match((await app.inject({ url: '/api/backup/list', headers: as() })).json(), [{ id, trusted, signedBy }])
    t.match((await app.inject({ url: `/api/backup/${id}`, headers: as() })).json(), { id, trusted })
    t.equal(
      logged.some(line => /No present key verifies.*BACKUP_SIGNING_KEY_PREVIOUS/.test(line)),
      !trusted
    )
  }
  const { signedBy: _, ...former } = JSON.parse(
    await readFile(join(first.backupDir, 'acme', `backup-${id}.json`), 'utf8')
  ) as Backup
  await writeFile(join(first.backupDir, 'acme', `backup-${id}.json`), JSON.stringify(former))
  const later = await buildTestApp(t, { env: { BACKUP_DIR: first.backupDir } })
  t.match(
    (await later.app.inject({ url: `/api/backup/${id}`, headers: later.as() })).json(),
    { id, trusted: true },
    'a record that does not name the key is believed'
  )
})

t.test('a record of the time before signatures is not trusted', async t => {
  const { app, as, backupDir } = await buildTestApp(t)
  const { id } = (
    await app.inject({ method: 'POST', url: '/api/backup/create', headers: as(), payload: { type: 'files' } })
  ).json<Backup>()
  const path = join(backupDir, 'acme', `backup-${id}.json`)
  const { trusted: _, signedBy: __, ...former } = JSON.parse(await readFile(path, 'utf8')) as Backup
  await writeFile(path, JSON.stringify(former))
  t.match((await app.inject({ url: `/api/backup/${id}`, headers: as() })).json(), { id, trusted: false })
})

t.test("an unsigned dump is never loaded with the database user's own rights", async t => {
  const id = '7d4f2c1e-98a3-4b57-8f2e-6c0b1d9e3a55'
  for (const rights of [
    { createdb: true, createrole: false },
    { createdb: false, createrole: false }
  ]) {
    const { url, sql } = await createTestDatabase(t, rights)
    await sql`CREATE TABLE things (id int PRIMARY KEY)`
    const parts = await buildTestApp(t, {
      databaseUrl: url,
      env: { ACCEPT_UNSIGNED_ARCHIVES: 'true', DATABASE_SCOPE: 'instance' }
    })
    const { app, as, core } = parts
    const own = (
      await app.inject({ method: 'POST', url: '/api/backup/create', headers: as(), payload: { type: 'database' } })
    ).json<Backup>()
    const opened = (await core.repository.openArchive('acme', own.id))!
    const { attributesDigest: _, ...metadata } = (await openArchive(opened.handle, opened.size, 'acme')).metadata
    await opened.handle.close()
    t.equal(
      (
        await upload(
          parts,
          await archiveBytes([], {
            ...metadata,
            id,
            timestamp: '2026-03-04T05:06:07.089Z',
            sql: 'CREATE TABLE public.things (id int PRIMARY KEY);'
          })
        )
      ).statusCode,
      201
    )
    t.match(
      (await restore(parts, id, { dryRun: true })).json(),
      { code: 'PREFLIGHT_FAILED', reason: 'not-signed-here' },
      JSON.stringify(rights)
    )
    t.match((await restore(parts, own.id, { dryRun: true })).json(), { dryRun: true }, 'our own is')
  }
})
