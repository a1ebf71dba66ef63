import t from 'tap'
import postgres from 'postgres'
import { createBackup } from '../../../src/backup/create.js'
import { readTenancy } from '../../../src/backup/tenancy.js'
import { withSql } from '../../../src/database/connection/connection.js'
import { requireDirect } from '../../../src/database/connection/direct.js'
import { checkReadiness } from '../../../src/health/readiness.js'
import { restoreBackup } from '../../../src/restore/restore.js'
import { undoRestore } from '../../../src/restore/undo.js'
import { testJob } from '../../support/job.js'
import { hasPooler, startPooler, type PoolerOptions } from '../../support/pooler.js'
import { createTestDatabase } from '../../support/postgres.js'
import { coreOf, createFolders, organizationId } from '../../support/restore-site.js'
import { restoresOf } from '../../support/restores.js'

const refusal = { code: 'CONFIG_INVALID', reason: 'connection-pooler', remedy: /the PostgreSQL server itself/ }
const skip = (await hasPooler()) ? false : 'PgBouncer is not installed'

t.test('the server itself is taken for itself, whatever the connection sets', async t => {
  const { connection } = await createTestDatabase(t)
  await requireDirect(connection)
  await requireDirect({ ...connection, parameters: { options: '-c search_path=public -c work_mem=5MB' } })
})

const poolers: PoolerOptions[] = [
  { mode: 'transaction' },
  { mode: 'transaction', ignored: 'options, search_path, extra_float_digits' },
  { mode: 'statement', ignored: 'options' },
  { mode: 'session' },
  { mode: 'session', ignored: 'options, search_path' }
]

t.test('PgBouncer is refused by every door, in every mode, and nothing is left in its sessions', { skip }, async t => {
  const { url, sql, connection } = await createTestDatabase(t)
  await sql.unsafe(
    'CREATE TABLE organizations (id text PRIMARY KEY); CREATE TABLE items (id int PRIMARY KEY, org text NOT NULL REFERENCES organizations)'
  )
  await sql.unsafe("INSERT INTO organizations VALUES ('acme'), ('globex'); INSERT INTO items VALUES (1, 'acme')")
  const folders = { ...(await createFolders(t, url)), scope: 'organization' as const }
  const direct = coreOf(folders)
  const { id } = await createBackup(
    direct,
    { organizationId, type: 'database', createdBy: 't', createdByEmail: null },
    testJob()
  )
  await sql.unsafe('DELETE FROM items')
  const restore = {
    organizationId,
    backupId: id,
    validateChecksum: true,
    rollbackOnFailure: true,
    dryRun: false,
    startedBy: 't'
  }
  const { restoreId } = await restoreBackup(direct, restore, testJob({ core: direct }))

  for (const pooler of poolers) {
    await t.test(
      `${pooler.mode} mode${pooler.ignored === undefined ? '' : `, where ${pooler.ignored} are dropped`}`,
      async t => {
        const pooled = await startPooler(t, connection, pooler)
        const core = coreOf({ ...folders, databaseUrl: pooled })
        await t.rejects(core.database.start(), refusal, 'a start')
        await t.rejects(
          checkReadiness(core),
          { code: 'CONFIG_INVALID', errors: [{ field: 'database', reason: 'connection-pooler' }] },
          'readiness'
        )
        await t.rejects(
          createBackup(core, { organizationId, type: 'database', createdBy: 't', createdByEmail: null }, testJob()),
          refusal,
          'a backup'
        )
        await t.rejects(readTenancy(core), refusal, 'the tenancy')
        for (const dryRun of [true, false])
          await t.rejects(
            restoreBackup(core, { ...restore, dryRun }, testJob({ core })),
            refusal,
            `a restore, dryRun ${dryRun}`
          )
        await t.rejects(
          undoRestore(core, { organizationId, restoreId, startedBy: 't' }, testJob({ core })),
          refusal,
          'an undo'
        )
        t.match(
          (await restoresOf(direct, organizationId)).map(({ state }) => state),
          ['done'],
          'no restore has begun'
        )

        // The application's own session by way of the pooler, which has the server's session that we had.
        const application = postgres(pooled, { max: 1, prepare: false, fetch_types: false })
        t.teardown(async () => {
          await application.end({ timeout: 1 })
        })
        const [left] =
          await application.unsafe(`SELECT current_setting('search_path') AS path, current_setting('row_security') AS rows,
        (SELECT count(*)::int FROM pg_prepared_statements) AS prepared,
        (SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS locks`)
        t.same(left, { path: '"$user", public', rows: 'on', prepared: 0, locks: 0 }, 'nothing is left in a session')
      }
    )
  }

  await undoRestore(direct, { organizationId, restoreId, startedBy: 't' }, testJob({ core: direct }))
  t.same(
    await withSql(connection, {}, async own => (await own`SELECT id FROM items`).length),
    0,
    'with the server itself the restore can be undone'
  )
})
