import t from 'tap'
import { createBackup } from '../../src/backup/create.js'
import { restoreBackup } from '../../src/restore/restore.js'
import { testJob } from '../support/job.js'
import { createTestDatabase } from '../support/postgres.js'
import { coreOf, createFolders, databaseFingerprint, leftovers } from '../support/restore-site.js'

const request = { organizationId: 'A', type: 'database' as const, createdBy: 't', createdByEmail: null }
const asked = { organizationId: 'A', validateChecksum: false, rollbackOnFailure: true, startedBy: 't' }

for (const [mode, { scope, ...role }] of Object.entries({
  merge: { scope: 'organization' as const },
  'in-place': { scope: 'instance' as const, createdb: false, createrole: false }
})) {
  t.test(`a restore whose checkpoint can't be loaded is refused while nothing is changed yet: ${mode}`, async t => {
    const { url, sql, user, connection } = await createTestDatabase(t, role)
    await sql.unsafe(`
      CREATE TABLE organizations (id text PRIMARY KEY, name text);
      CREATE TABLE items (id int PRIMARY KEY, org text NOT NULL REFERENCES organizations (id), name text);
      INSERT INTO organizations VALUES ('A', 'A'); INSERT INTO items SELECT n, 'A', 'item ' || n FROM generate_series(1, 5) n`)
    const core = coreOf({ ...(await createFolders(t, url)), scope })
    const { id } = await createBackup(core, request, testJob())
    // From now on a dump of these rows can't be loaded, though they are here.
    await sql.unsafe(`UPDATE items SET name = 'changed';
      CREATE FUNCTION org_exists(o text) RETURNS bool LANGUAGE sql STABLE AS 'SELECT EXISTS (SELECT FROM organizations WHERE id = o)';
      ALTER TABLE items ADD CONSTRAINT org_is_there CHECK (org_exists(org))`)
    const before = await databaseFingerprint(connection)
    for (const dryRun of [true, false]) {
      await t.rejects(
        restoreBackup(core, { ...asked, backupId: id, dryRun }, testJob({ core })),
        {
          code: 'CHECKPOINT_IMPOSSIBLE',
          reason: 'load-failed',
          message: /rows of public\.items/,
          remedy: /rollbackOnFailure: false/
        },
        dryRun ? 'its dry run says so' : 'refused'
      )
      t.equal(await databaseFingerprint(connection), before)
      t.same(await leftovers(core, user), [])
      t.equal((await core.catalog.list('A', { limit: 9 })).backups.length, 1)
    }
    await sql.unsafe('ALTER TABLE items DROP CONSTRAINT org_is_there')
    await restoreBackup(core, { ...asked, backupId: id, dryRun: true }, testJob({ core }))
    t.same(await leftovers(core, user), [], 'a dry run keeps no checkpoint')
    await restoreBackup(core, { ...asked, backupId: id, dryRun: false }, testJob({ core }))
    t.same(await sql`SELECT DISTINCT left(name, 4) AS name FROM items`, [{ name: 'item' }])
  })
}
