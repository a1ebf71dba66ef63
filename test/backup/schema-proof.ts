import { createHash } from 'node:crypto'
import t from 'tap'
import { createBackup } from '../../src/backup/create.js'
import { parseConnectionUrl, withSql } from '../../src/database/connection/connection.js'
import { recoverRestores } from '../../src/restore/recover.js'
import { restoreBackup } from '../../src/restore/restore.js'
import type { Backup } from '../../src/repository/record.js'
import { testJob } from '../support/job.js'
import { createTestDatabase } from '../support/postgres.js'
import { coreOf, createFolders, leftovers } from '../support/restore-site.js'

const tables = `
  CREATE TABLE organizations (id text PRIMARY KEY, name text);
  CREATE TABLE items (id int PRIMARY KEY, org text NOT NULL REFERENCES organizations (id), name text);
  INSERT INTO organizations VALUES ('A', 'A'); INSERT INTO items SELECT n, 'A', 'item ' || n FROM generate_series(1, 5) n`
const request = { organizationId: 'A', type: 'database' as const, createdBy: 't', createdByEmail: null }
const asked = { organizationId: 'A', validateChecksum: false, dryRun: false, rollbackOnFailure: false, startedBy: 't' }

t.test('a schema is loaded once, and nothing of that stays', async t => {
  const { url, sql, user, connection } = await createTestDatabase(t)
  await sql.unsafe(tables)
  const folders = await createFolders(t, url)
  const core = coreOf(folders)
  const first = await createBackup(core, request, testJob())
  t.match(first, { schemaProof: { state: 'loaded' }, warnings: [] })
  t.same(await leftovers(core, user), [])
  const scratch = `dab_proof_${createHash('sha256').update(connection.database).digest('hex').slice(0, 32)}`

  // Whoever loads a schema waits for this lock.
  await withSql({ ...connection, database: 'postgres' }, {}, async other => {
    await other`SELECT pg_advisory_lock(hashtextextended(${`dumbassets-backup proof ${scratch}`}, 0))`
    t.same((await createBackup(core, request, testJob())).schemaProof, first.schemaProof, 'by this process')
    await sql`INSERT INTO items VALUES (6, 'A', 'another')`
    const elsewhere = coreOf({ ...folders, databaseUrl: url.replace('127.0.0.1', 'localhost') })
    t.same(
      (await createBackup(elsewhere, request, testJob())).schemaProof,
      first.schemaProof,
      'by the record of a backup'
    )
  })
  await sql`ALTER TABLE items ADD COLUMN more int`
  const changed = (await createBackup(core, request, testJob())).schemaProof
  t.match(changed, { state: 'loaded' })
  t.not(changed?.fingerprint, first.schemaProof?.fingerprint)

  await t.test('a start removes what a kill has left of it', async t => {
    const loader = scratch.replace('proof', 'loader')
    await sql.unsafe(`CREATE ROLE ${loader}`)
    await sql.unsafe(`GRANT ${loader} TO CURRENT_USER`)
    await sql.unsafe(`CREATE DATABASE ${scratch} OWNER ${loader}`)
    t.same(await leftovers(core, user), [scratch, loader])
    await recoverRestores(core)
    t.same(await leftovers(core, user), [])
  })

  await t.test('a cancelled backup leaves nothing of it', async t => {
    await sql`ALTER TABLE items ADD COLUMN again int`
    const stop = new AbortController()
    const job = testJob({
      signal: stop.signal,
      onPhase: phase => {
        if (phase === 'database')
          setImmediate(() => {
            stop.abort(new Error('cancelled'))
          })
      }
    })
    await t.rejects(createBackup(core, request, job), /cancelled/)
    t.same(await leftovers(core, user), [])
  })
})

t.test('who may not create a database is told that nothing was tried, and why', async t => {
  const { url, sql } = await createTestDatabase(t, { createdb: false })
  await sql.unsafe(tables)
  const { schemaProof, warnings } = await createBackup(coreOf(await createFolders(t, url)), request, testJob())
  t.match(schemaProof, { state: 'not-tried', reason: /may not create databases .*CREATEDB/ })
  t.match(warnings, [/schema can be restored was not tried: .*CREATEDB/])
})

t.test('a failure that no catalog tells of is found, and the restore names the same object', async t => {
  const { url, sql, adminUrl } = await createTestDatabase(t)
  await sql.unsafe(tables)
  await withSql(parseConnectionUrl(adminUrl), {}, async admin => {
    await admin.unsafe(
      'CREATE AGGREGATE odd (bigint) (SFUNC = int8_avg_accum, STYPE = internal, FINALFUNC = numeric_poly_avg)'
    )
  })
  const core = coreOf(await createFolders(t, url))
  const { id, schemaProof, warnings } = await createBackup(core, request, testJob())
  t.match(schemaProof, {
    state: 'failed',
    failures: [{ object: 'the aggregate public.odd(bigint)', message: /internal/ }]
  })
  t.match(warnings, [
    /^A restore will fail at the aggregate public\.odd\(bigint\): .*internal.* For the operator: .*make another backup\.$/
  ])
  await t.rejects(restoreBackup(core, { ...asked, backupId: id }, testJob({ core })), {
    code: 'DUMP_INVALID',
    reason: 'load-failed',
    message: /the aggregate public\.odd\(bigint\).*internal/,
    remedy: /the aggregate public\.odd\(bigint\).* by hand/
  })
})

t.test('rows that a CHECK refuses are told of with the table and the way', async t => {
  const { url, sql } = await createTestDatabase(t)
  await sql.unsafe(tables)
  await sql.unsafe(`CREATE FUNCTION org_exists(o text) RETURNS bool LANGUAGE sql STABLE AS 'SELECT EXISTS (SELECT FROM organizations WHERE id = o)';
    ALTER TABLE items ADD CONSTRAINT org_is_there CHECK (org_exists(org))`)
  const core = coreOf(await createFolders(t, url))
  const { id, schemaProof, warnings }: Backup = await createBackup(core, request, testJob())
  t.match(schemaProof, { state: 'loaded' })
  t.match(warnings, [
    /^A restore can fail at the CHECK org_is_there of public\.items: its function names public\.organizations, .* For the operator: check other tables in a trigger/
  ])
  await t.rejects(restoreBackup(core, { ...asked, backupId: id }, testJob({ core })), {
    code: 'DUMP_INVALID',
    reason: 'load-failed',
    message: /the rows of public\.items.*org_is_there/,
    remedy: /let the CHECK look at its row alone.* the rows of public\.items.* by hand/
  })
})
