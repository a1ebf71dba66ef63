import t from 'tap'
import { archive, loadFixture, mergeFrom, otherRows, restore } from '../../support/organization.js'
import { createTestDatabase } from '../../support/postgres.js'

t.test('rows of tables that the backup does not have are kept, and it is told what to do about them', async (t) => {
  const live = await createTestDatabase(t)
  await loadFixture(live.sql)
  const { sql } = live
  const tenancy = { tables: { 'public.drafts': { exclude: true as const } } }
  const archived = await archive(live.connection, 'a')
  await sql.unsafe(`
    INSERT INTO crm.projects VALUES ('a', 99, 'added', NULL);
    CREATE TABLE notes (id integer PRIMARY KEY, organization_id text NOT NULL, project integer NOT NULL, FOREIGN KEY (organization_id, project) REFERENCES crm.projects ON DELETE CASCADE);
    CREATE TABLE drafts (id integer PRIMARY KEY, organization_id text, project integer, FOREIGN KEY (organization_id, project) REFERENCES crm.projects ON DELETE SET NULL);
    INSERT INTO notes VALUES (1, 'a', 99); INSERT INTO drafts VALUES (1, 'a', 99)`)
  const others = await otherRows(sql, 'a', tenancy)
  for (const dryRun of [true, false]) {
    await t.rejects(mergeFrom(t, live.connection, archived, { organizationId: 'a', dryRun, tenancy }), {
      code: 'RESTORE_CONFLICT',
      errors: [
        { message: /lead to them: public.drafts \(.*; TENANCY_FILE excludes their table, .*: delete these rows or set their organization_id, project to NULL in the application first$/ },
        { message: /lead to them: public.notes \(.*; their table came after the backup, .*: delete these rows in the application first$/ }
      ]
    })
  }
  t.strictSame(await otherRows(sql, 'a', tenancy), others)
  await sql`UPDATE drafts SET organization_id = NULL, project = NULL`
  await sql`DELETE FROM notes`
  t.match(await restore(t, live.connection, archived, { organizationId: 'a', tenancy }), [{ table: 'crm.projects', removed: 1 }], 'what the message says helps')
})
