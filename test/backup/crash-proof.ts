import { once } from 'node:events'
import t, { type Test } from 'tap'
import { createBackup } from '../../src/backup/create.js'
import type { Core } from '../../src/core.js'
import { openSql } from '../../src/database/connection/connection.js'
import { recoverRestores } from '../../src/restore/recover.js'
import { runChild, startChild } from '../support/crash.js'
import { testJob } from '../support/job.js'
import { createTestDatabase } from '../support/postgres.js'
import { coreOf, createFolders, leftovers, organizationId, type Folders } from '../support/restore-site.js'

interface Place {
  folders: Folders
  core: Core
  user: string
  sql: Awaited<ReturnType<typeof createTestDatabase>>['sql']
}

async function setUp(t: Test): Promise<Place> {
  const { url, sql, user } = await createTestDatabase(t)
  await sql`CREATE TABLE items (id int PRIMARY KEY, name text)`
  const folders = await createFolders(t, url)
  return { folders, core: coreOf(folders), user, sql }
}

/** As a start does it, and then a backup. */
async function startAgain(t: Test, { core, user }: Place, what: string): Promise<void> {
  await core.repository.removePartials()
  await core.catalog.reconcile()
  await recoverRestores(core)
  t.same(await leftovers(core, user), [], `nothing is left after the start: ${what}`)
  const { schemaProof } = await createBackup(
    core,
    { organizationId, type: 'database', createdBy: 't', createdByEmail: null },
    testJob()
  )
  t.match(schemaProof, { state: 'loaded' }, `the next backup proves its schema: ${what}`)
  t.same(await leftovers(core, user), [], what)
}

async function kindsLeft({ core, user }: Place): Promise<Array<string | undefined>> {
  return (await leftovers(core, user)).map(name => /^dab_proof|^dab_loader|partial$/.exec(name)?.[0])
}

t.test('a service that is killed during a proof leaves nothing that a start does not remove', async t => {
  const place = await setUp(t)
  // Each is sent once what was asked for before it is done.
  const points = {
    'REVOKE ALL ON DATABASE "dab_proof': ['dab_proof', 'dab_loader', 'partial'],
    'ALTER DATABASE "dab_proof': ['dab_proof', 'dab_loader', 'partial'],
    'DROP ROLE "dab_loader': ['dab_loader', 'partial']
  }
  for (const [index, [from, left]] of Object.entries(points).entries()) {
    // A schema that is known is not tried again.
    await place.sql.unsafe(`ALTER TABLE items ADD COLUMN column_${index} int`)
    t.equal(
      await runChild(place.folders, { do: 'create' }, { kind: 'kill', at: 1, from }),
      null,
      `killed before ${from}`
    )
    t.same(await kindsLeft(place), left, from)
    await startAgain(t, place, from)
  }
})

t.test('a service that is killed while psql loads the schema leaves a session there, which a start ends', async t => {
  const place = await setUp(t)
  const { folders, core, sql } = place
  const wait = (
    seconds: number
  ): string => `CREATE OR REPLACE FUNCTION wait() RETURNS bool IMMUTABLE LANGUAGE plpgsql AS
    'BEGIN IF current_database() LIKE ''dab_proof%'' THEN PERFORM pg_sleep(${seconds}); END IF; RETURN true; END'`
  await sql.unsafe(wait(600))
  // What an index has for its predicate is computed as it is made.
  await sql`CREATE INDEX waiting ON items (name) WHERE wait()`
  const beside = openSql(core.database.connection(), {})
  const run = await startChild(folders, { do: 'create' })
  const loading = async (): Promise<boolean> =>
    (await beside`SELECT FROM pg_catalog.pg_stat_activity WHERE datname LIKE 'dab_proof%' AND wait_event = 'PgSleep'`)
      .length > 0
  while (run.process.exitCode === null && !(await loading()));
  run.process.kill('SIGKILL')
  await once(run.process, 'exit')
  t.equal(await run.answer, null)
  t.ok(await loading(), 'the server goes on with what psql has sent')
  await beside.end()
  t.same(await kindsLeft(place), ['dab_proof', 'dab_loader', 'partial'])
  await sql.unsafe(wait(0))
  await startAgain(t, place, 'while psql loads')
})
