import t from 'tap'
import {
  archive,
  archiveFixture,
  mergeFrom,
  openFixture,
  otherRows,
  restore,
  rowsOf
} from '../../support/organization.js'

const a = { organizationId: 'a' }

t.test('rows of tables that the backup does not speak of are kept, and it is told what to do about them', async t => {
  const { live, sql } = await openFixture(t)
  const tenancy = { tables: { 'public.drafts': { exclude: true as const } } }
  const archived = await archive(live.connection, 'a')
  await sql.unsafe(`
    INSERT INTO crm.projects VALUES ('a', 99, 'added', NULL);
    INSERT INTO users (id, "organizationId", email) VALUES (900, 'a', 'added');
    CREATE TABLE notes (id integer PRIMARY KEY, organization_id text NOT NULL, project integer NOT NULL, FOREIGN KEY (organization_id, project) REFERENCES crm.projects);
    CREATE TABLE drafts (id integer PRIMARY KEY, organization_id text, project integer, FOREIGN KEY (organization_id, project) REFERENCES crm.projects ON DELETE CASCADE);
    CREATE TABLE plans (id integer PRIMARY KEY, organization_id text REFERENCES organizations, project integer, FOREIGN KEY (organization_id, project) REFERENCES crm.projects ON DELETE SET NULL);
    ALTER TABLE crm.tasks ADD reviewer integer REFERENCES users ON DELETE SET NULL;
    UPDATE crm.tasks SET reviewer = 900 WHERE id = (SELECT min(id) FROM crm.tasks WHERE organization_id = 'a');
    INSERT INTO notes VALUES (1, 'a', 99); INSERT INTO drafts VALUES (1, 'a', 99); INSERT INTO plans VALUES (1, 'a', 99)`)
  const [before, others] = [await rowsOf(sql, 'a', tenancy), await otherRows(sql, 'a', tenancy)]
  for (const dryRun of [true, false]) {
    await t.rejects(mergeFrom(t, live.connection, archived, { ...a, dryRun, tenancy }), {
      code: 'RESTORE_CONFLICT',
      errors: [
        {
          reason: 'referenced-by-kept-rows',
          field: 'public.users',
          message: /\(id=900\).* crm\.tasks \(reviewer\).*NULL/
        },
        {
          reason: 'referenced-from-outside',
          field: 'crm.projects',
          message:
            /\(organization_id=a, number=99\).* public\.drafts \(.*TENANCY_FILE.* organization_id, project to NULL/
        },
        {
          reason: 'referenced-by-kept-rows',
          field: 'crm.projects',
          message: /\(organization_id=a, number=99\).* public\.notes \((?!.*NULL)/
        },
        {
          reason: 'referenced-by-kept-rows',
          field: 'crm.projects',
          message: /\(organization_id=a, number=99\).* public\.plans \(/
        }
      ]
    })
  }
  t.strictSame([await rowsOf(sql, 'a', tenancy), await otherRows(sql, 'a', tenancy)], [before, others])
  await sql`UPDATE drafts SET organization_id = NULL, project = NULL`
  await sql`UPDATE crm.tasks SET reviewer = NULL`
  await sql`UPDATE plans SET project = NULL`
  await sql`DELETE FROM notes`
  t.match(
    await restore(t, live.connection, archived, { ...a, tenancy }),
    [
      { table: 'crm.projects', removed: 1 },
      { table: 'public.users', removed: 1 }
    ],
    'what the messages say helps'
  )
})

t.test("the organization's rows of newer tables follow those that they belong to, as their keys say", async t => {
  const { live, sql, before, archived } = await archiveFixture(t)
  await sql.unsafe(`
    INSERT INTO crm.projects SELECT o, 99, 'added', NULL FROM unnest(ARRAY['a', 'b']) o;
    INSERT INTO crm.projects VALUES ('a', 98, 'added', NULL);
    CREATE TABLE boards (id integer PRIMARY KEY, organization_id text NOT NULL, project integer NOT NULL,
      FOREIGN KEY (organization_id, project) REFERENCES crm.projects ON DELETE CASCADE);
    CREATE TABLE cards (id integer PRIMARY KEY, board integer NOT NULL REFERENCES boards ON DELETE CASCADE, next integer REFERENCES cards ON DELETE SET NULL, title text);
    CREATE TABLE pins (org text NOT NULL REFERENCES organizations, card integer REFERENCES cards ON DELETE SET NULL, place integer);
    CREATE TABLE log (line text);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.log VALUES (TG_TABLE_NAME); RETURN NULL; END $$;
    CREATE TRIGGER note AFTER DELETE OR UPDATE ON cards FOR EACH ROW EXECUTE FUNCTION note();
    INSERT INTO boards VALUES (1, 'a', 99), (2, 'a', 1), (3, 'b', 99), (4, 'b', 1);
    INSERT INTO cards SELECT b * 10 + n, b, NULL, 'card' FROM generate_series(1, 4) b, generate_series(1, 3) n;
    UPDATE cards SET next = 12 WHERE id IN (11, 21); UPDATE cards SET next = 32 WHERE id IN (31, 41);
    TRUNCATE log;
    INSERT INTO pins VALUES ('a', 11, 1), ('a', 21, 2), ('a', NULL, 3), ('b', 31, 1)`)
  const newer = await archive(live.connection, 'a')
  const [all, others] = [await rowsOf(sql, 'a'), await otherRows(sql, 'a')]

  const rehearsal = await mergeFrom(t, live.connection, archived, { ...a, dryRun: true })
  t.match(
    rehearsal.changes.filter(({ added, changed, removed }) => added + changed + removed > 0),
    [
      { table: 'crm.projects', removed: 2 },
      { table: 'public.boards', rows: 1, removed: 1, changed: 0, added: 0, unchanged: 1 },
      { table: 'public.cards', rows: 3, removed: 3, changed: 1, added: 0, unchanged: 2 },
      { table: 'public.pins', rows: 3, removed: 1, changed: 0, added: 1, unchanged: 2, comparedBy: 'content' }
    ]
  )
  t.match(rehearsal.notes.get('public.cards'), /follow them, as their keys say \(ON DELETE\)/)
  await rehearsal.rollback()
  t.strictSame([await rowsOf(sql, 'a'), await otherRows(sql, 'a')], [all, others])

  const changes = await restore(t, live.connection, archived, a)
  t.strictSame(
    changes,
    rehearsal.changes.filter(({ added, changed, removed }) => added + changed + removed > 0),
    'the rehearsal said what happens'
  )
  t.match(await rowsOf(sql, 'a'), {
    ...before,
    'public.boards': ['(2,a,1)'],
    'public.cards': ['(21,2,,card)', '(22,2,,card)', '(23,2,,card)'],
    'public.pins': ['(a,,1)', '(a,,3)', '(a,21,2)']
  })
  t.strictSame(await otherRows(sql, 'a'), others, 'to the place and the version, and no trigger has written')
  await restore(t, live.connection, newer, a)
  t.strictSame(await rowsOf(sql, 'a'), all, 'the undo brings them back')
  t.strictSame(await otherRows(sql, 'a'), others)
})

t.test('a row of another organization that hangs there still refuses', async t => {
  const { live, sql } = await openFixture(t)
  const tenancy = { tables: { marks: { owner: 'org' } } }
  const archived = await archive(live.connection, 'a')
  await sql.unsafe(`
    INSERT INTO crm.projects VALUES ('a', 99, 'added', NULL);
    CREATE TABLE marks (org text NOT NULL REFERENCES organizations, project_of text, project integer, FOREIGN KEY (project_of, project) REFERENCES crm.projects ON DELETE CASCADE);
    INSERT INTO marks VALUES ('a', 'a', 99), ('b', 'a', 99)`)
  const [before, others] = [await rowsOf(sql, 'a', tenancy), await otherRows(sql, 'a', tenancy)]
  for (const dryRun of [true, false]) {
    await t.rejects(mergeFrom(t, live.connection, archived, { ...a, dryRun, tenancy }), {
      code: 'RESTORE_CONFLICT',
      errors: [{ reason: 'referenced-from-outside', message: /1 row .* public\.marks \(/ }]
    })
  }
  t.strictSame([await rowsOf(sql, 'a', tenancy), await otherRows(sql, 'a', tenancy)], [before, others])
  await sql`DELETE FROM marks WHERE org = 'b'`
  t.match(await restore(t, live.connection, archived, { ...a, tenancy }), [
    { table: 'crm.projects', removed: 1 },
    { table: 'public.marks', removed: 1 }
  ])
})
