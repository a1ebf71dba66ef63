import { mkdir, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { parseConnectionUrl, withSql } from '../../src/database/connection/connection.js'
import type { Metadata } from '../../src/archive/metadata.js'
import { forge } from '../support/forge.js'
import { rowsOf } from '../support/organization.js'
import { leftOvers, setUpTenants, type Tenants } from '../support/tenants.js'
import { sharedCluster } from '../support/shared-cluster.js'

interface Refusal {
  code: string
  message: string
  remedy: string
  errors: Array<{ message: string }>
}

const setUp = async (
  t: Parameters<typeof setUpTenants>[0],
  options: Parameters<typeof setUpTenants>[1] = {}
): Promise<Tenants> => await setUpTenants(t, { ids: ['acme'], ...options })

/** As the superuser, from beside the test's database. */
async function beside({ database }: Tenants, statement: string): Promise<void> {
  await withSql({ ...parseConnectionUrl(database.adminUrl), database: 'postgres' }, {}, async sql => {
    await sql.unsafe(statement)
  })
}

/** The test's own pool is gone with the database that it was open to. */
async function rowsNow({ database: { connection } }: Tenants): Promise<Record<string, string[]>> {
  return await withSql(connection, {}, async sql => await rowsOf(sql, 'acme'))
}

t.test('every shortfall is told at once, with its numbers, and nothing is begun', async t => {
  const tenants = await setUp(t)
  const { core, uploadDir } = tenants
  const backup = await tenants.create()
  const before = await tenants.state()
  const hugeBytes = 2 ** 50
  const misfit = (metadata: Metadata): void => {
    metadata.roles.push('auditor_of_nobody', "o'ther")
    metadata.extensions.push({ name: 'no_such_extension', version: '1' }, { name: 'file_fdw', version: '1' })
    metadata.postgresVersion = '99.3'
    metadata.database!.sizeBytes = hugeBytes
  }
  // As when PostgreSQL is the service's own, so that it knows the disk.
  Object.assign(core.database, { dataDirectory: uploadDir })
  const everything = await forge(core, backup, { metadata: misfit, files: true })
  await rename(join(uploadDir, 'acme'), join(uploadDir, 'elsewhere'))
  await symlink('elsewhere', join(uploadDir, 'acme'))
  for (const dryRun of [true, false]) {
    const refused = await tenants.post<Refusal>(`restore/${everything}`, { dryRun }, 409)
    t.equal(refused.code, 'PREFLIGHT_FAILED')
    const expected = [
      new RegExp(`^the data folder of PostgreSQL needs ${hugeBytes} bytes free and has \\d{4,}\\.$`),
      /made on PostgreSQL 99 .*this server is PostgreSQL \d+/,
      /role "auditor_of_nobody" is missing/,
      /role "o'ther" is missing/,
      /"no_such_extension" is not installed/,
      /"file_fdw" (can only be created by a superuser|is not installed)/,
      /upload folder is a link/
    ]
    t.match(
      refused.errors.map(({ message }) => message),
      expected
    )
    t.equal(refused.errors.length, expected.length)
    for (const { message } of refused.errors) t.ok(refused.message.includes(message))
  }
  await rm(join(uploadDir, 'acme'))
  await rename(join(uploadDir, 'elsewhere'), join(uploadDir, 'acme'))

  const large = await forge(core, backup, {
    metadata: ({ database }) => {
      database!.sizeBytes = hugeBytes
    },
    files: true
  })
  const full = await tenants.post<Refusal>(`restore/${large}`, {}, 507)
  t.match(full, { code: 'DISK_FULL', errors: [{ reason: 'disk-full', message: /data folder of PostgreSQL/ }] })
  t.equal(full.errors.length, 1)
  t.same(await tenants.state(), before)
  t.same(await tenants.restores(), [], 'not even a journal')
  t.same(await leftOvers(tenants.database), [])
})

t.test('an upload folder that is a link or a file is refused, and stays', async t => {
  const tenants = await setUp(t)
  const live = join(tenants.uploadDir, 'acme')
  const backup = await tenants.create('files')
  await rename(live, join(tenants.uploadDir, 'elsewhere'))
  for (const target of ['elsewhere', 'nowhere']) {
    await symlink(target, live)
    for (const dryRun of [true, false]) {
      t.match(await tenants.post(`restore/${backup.id}`, { dryRun }, 409), {
        code: 'PREFLIGHT_FAILED',
        errors: [{ reason: 'upload-folder-not-a-folder' }]
      })
      t.equal(await readlink(live), target)
    }
    await rm(live)
  }
  await writeFile(live, 'a file')
  t.match(await tenants.post(`restore/${backup.id}`, {}, 409), { code: 'PREFLIGHT_FAILED' })
  await rm(live)
  await mkdir(live)
  await tenants.restore(backup.id)
})

t.test('a live database that is gone has no checkpoint, which somebody has to agree to', async t => {
  const tenants = await setUp(t)
  const {
    database: { name },
    core
  } = tenants
  const backup = await tenants.create()
  const before = await tenants.state()
  const misfit = await forge(core, backup, {
    metadata: ({ roles }) => {
      roles.push('auditor_of_nobody')
    }
  })
  await tenants.database.sql.end()
  await beside(tenants, `DROP DATABASE ${name} WITH (FORCE)`)
  for (const dryRun of [true, false]) {
    t.match(await tenants.post(`restore/${backup.id}`, { dryRun }, 409), {
      code: 'CHECKPOINT_IMPOSSIBLE',
      reason: 'no-live-database',
      remedy: /rollbackOnFailure: false/
    })
  }
  t.match(await tenants.post(`restore/${misfit}`, {}, 409), {
    code: 'PREFLIGHT_FAILED',
    errors: [
      { reason: 'role-missing', message: /auditor_of_nobody/ },
      { reason: 'no-live-database', message: /rollbackOnFailure: false/ }
    ]
  })
  await tenants.restore(backup.id, { rollbackOnFailure: false })
  t.same(await rowsNow(tenants), before.rows)
})

t.test("a live database that can't be opened is exchanged where nobody asks who else is in it", async t => {
  for (const scope of ['auto', 'instance']) {
    const tenants = await setUp(t, { env: { DATABASE_SCOPE: scope } })
    const {
      database: { name, sql }
    } = tenants
    const backup = await tenants.create('database')
    await sql`UPDATE users SET "fullName" = 'as it is now'`
    const namedSo = async (): Promise<number> =>
      await withSql(
        tenants.database.connection,
        {},
        async sql => (await sql`SELECT FROM users WHERE "fullName" = 'as it is now'`).length
      )
    t.ok((await namedSo()) > 0)
    await sql.end()
    await beside(tenants, `ALTER DATABASE ${name} ALLOW_CONNECTIONS false`)
    if (scope === 'auto') {
      const response = await tenants.app.inject({
        method: 'POST',
        url: `/api/backup/restore/${backup.id}`,
        headers: tenants.as(),
        payload: {}
      })
      t.not(response.statusCode, 200)
      t.match(response.json(), { reason: 'live-database-unreadable', remedy: /DATABASE_SCOPE=instance/ })
      continue
    }
    const { restoreId } = await tenants.restore(backup.id)
    t.equal(await namedSo(), 0)
    await tenants.post(`restores/${restoreId}/undo`)
    await t.rejects(namedSo(), { code: '55000' }, 'it is the broken one again')
    await tenants.restore(backup.id)
    t.equal(await namedSo(), 0)
  }
})

t.test("a live database that can't be read", async t => {
  const { dataDirectory } = await sharedCluster()
  for (const createdb of [true, false]) {
    const tenants = await setUp(t, { database: { createdb, createrole: createdb } })
    const {
      database: { sql }
    } = tenants
    const backup = await tenants.create('database')
    const before = (await tenants.state()).rows
    await sql`CREATE TABLE broken AS SELECT generate_series(1, 1000) AS n`
    const [{ path }] = await sql<[{ path: string }]>`SELECT pg_relation_filepath('broken') AS path`
    await beside(tenants, 'CHECKPOINT')
    await rm(join(dataDirectory, path))
    await sql.end()
    await tenants.post('create', { type: 'database' }, 500)
    if (createdb) {
      const { restoreId } = await tenants.restore(backup.id)
      t.ok(restoreId, 'a checkpoint by renaming needs nobody to read it')
    } else {
      t.match(await tenants.post(`restore/${backup.id}`, {}, 409), {
        code: 'CHECKPOINT_IMPOSSIBLE',
        remedy: /rollbackOnFailure: false/
      })
      t.match(await tenants.restores(), [{ state: 'rolled-back' }])
      await tenants.restore(backup.id, { rollbackOnFailure: false })
    }
    t.same(await rowsNow(tenants), before)
    await withSql(tenants.database.connection, {}, async sql => {
      t.equal((await sql`SELECT to_regclass('broken') AS found`)[0]?.found, null)
    })
  }
})
