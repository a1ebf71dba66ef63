import t from 'tap'
import type postgres from 'postgres'
import { openSql } from '../../../src/database/connection/connection.js'
import {
  archive,
  archiveFixture,
  loadFixture,
  loadScript,
  mergeFrom,
  openFixture,
  otherRows,
  restore,
  rowsOf
} from '../../support/organization.js'
import { createTestDatabase } from '../../support/postgres.js'

const a = { organizationId: 'a' }

/** Changes something of A in every table. */
async function damage(sql: postgres.Sql): Promise<void> {
  await sql`UPDATE organizations SET name = 'Broken' WHERE id = 'a'`
  await sql`DELETE FROM crm."Comments" WHERE task_id IN (SELECT id FROM crm.tasks WHERE organization_id = 'a' AND project = 1)`
  await sql`UPDATE crm."Comments" SET body = NULL WHERE task_id IN (SELECT id FROM crm.tasks WHERE organization_id = 'a' AND project = 2)`
  await sql`DELETE FROM crm.tasks WHERE organization_id = 'a' AND project = 1`
  await sql`UPDATE crm.tasks SET title = 'changed', cost = 1.50 WHERE organization_id = 'a' AND project = 2`
  await sql`DELETE FROM crm.projects WHERE organization_id = 'a' AND number = 1`
  await sql`UPDATE crm.projects SET settings = '{"b":[1,2]}' WHERE organization_id = 'a' AND number = 2`
  await sql`INSERT INTO crm.projects VALUES ('a', 99, 'added', NULL)`
  await sql`INSERT INTO crm.tasks (organization_id, project, title) VALUES ('a', 99, 'added')`
  await sql`UPDATE users SET email = upper(email::text), manager_id = NULL, mood = NULL WHERE "organizationId" = 'a'`
  await sql`INSERT INTO users ("organizationId", email) VALUES ('a', 'added')`
  await sql`UPDATE organizations SET owner_id = (SELECT max(id) FROM users WHERE "organizationId" = 'a') WHERE id = 'a'`
  await sql`DELETE FROM crm.labels WHERE organization_id = 'a' AND name = 'red'`
  await sql`DELETE FROM "Audit Log"."My ""Events""" WHERE ctid IN (SELECT min(e.ctid) FROM "Audit Log"."My ""Events""" e JOIN users u ON u.id = e.user_id WHERE u."organizationId" = 'a')`
  await sql`INSERT INTO "Audit Log"."My ""Events""" SELECT max(id), now(), NULL FROM users WHERE "organizationId" = 'a'`
  await sql`UPDATE crm.readings SET at = at + 365 * 10, value = 'NaN' WHERE organization_id = 'a' AND at < '2026-01-01'`
}

t.test('puts one organization back and touches no other row', async t => {
  const { live, before, archived } = await archiveFixture(t)
  await damage(live.sql)
  const others = await otherRows(live.sql, 'a')
  const damaged = await rowsOf(live.sql, 'a')
  t.notSame(damaged, before)

  const rehearsal = await mergeFrom(t, live.connection, archived, { ...a, dryRun: true })
  await t.rejects(rehearsal.apply())
  await rehearsal.rollback()
  t.strictSame(await rowsOf(live.sql, 'a'), damaged, 'a rehearsal changes nothing')

  const changes = await restore(t, live.connection, archived, a)
  t.strictSame(
    changes,
    rehearsal.changes.filter(({ added, changed, removed }) => added + changed + removed > 0),
    'the rehearsal said what happens'
  )
  t.equal(changes.length, 8)
  t.match(
    changes.find(({ table }) => table === 'crm.projects'),
    { rows: 3, added: 1, changed: 1, removed: 1, unchanged: 1, comparedBy: 'key' }
  )
  t.strictSame(await rowsOf(live.sql, 'a'), before)
  t.strictSame(await otherRows(live.sql, 'a'), others, 'to the place and the version')
  t.strictSame(await restore(t, live.connection, archived, a), [], 'a second time there is nothing to do')
})

t.test('an organization that was erased comes back, also into another installation', async t => {
  const { live, before, archived } = await archiveFixture(t)
  await live.sql`DELETE FROM imports`
  await live.sql`DELETE FROM crm.tasks WHERE organization_id = 'a'`
  await live.sql`DELETE FROM organizations WHERE id = 'a'`
  const others = await otherRows(live.sql, 'a')
  await restore(t, live.connection, archived, a)
  t.strictSame(await rowsOf(live.sql, 'a'), before)
  t.strictSame(await otherRows(live.sql, 'a'), others)

  const elsewhere = await createTestDatabase(t)
  await loadFixture(elsewhere.sql)
  await elsewhere.sql.unsafe(
    'TRUNCATE organizations, users, crm.projects, crm.labels CASCADE; ALTER SEQUENCE users_id_seq RESTART; ALTER SEQUENCE crm.tasks_id_seq RESTART'
  )
  await elsewhere.sql`INSERT INTO organizations (id, name) VALUES ('z', 'Zed')`
  const theirs = await otherRows(elsewhere.sql, 'a')
  await restore(t, elsewhere.connection, archived, a)
  t.strictSame(await rowsOf(elsewhere.sql, 'a'), before)
  t.strictSame(await otherRows(elsewhere.sql, 'a'), theirs)
  await elsewhere.sql`INSERT INTO users ("organizationId", email) SELECT 'z', 'z' || n FROM generate_series(1, 20) n`
  t.pass('sequences are past the rows that came in')
})

t.test('unique values that were exchanged are put back', async t => {
  const { live, sql } = await openFixture(t)
  await sql`CREATE TABLE slots (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), organization_id text NOT NULL REFERENCES organizations,
    place integer NOT NULL UNIQUE, code text UNIQUE, name varchar(8) NOT NULL)`
  await sql`CREATE UNIQUE INDEX ON slots (organization_id, lower(name))`
  await sql`INSERT INTO slots (organization_id, place, code, name) SELECT o, n, o || n, 'Name' || n FROM unnest(ARRAY['a', 'b']) WITH ORDINALITY u(o, k), generate_series(k * 10, k * 10 + 3) n`
  const before = await rowsOf(sql, 'a')
  const archived = await archive(live.connection, 'a')
  // Every row takes the next one's values; the last takes the first's.
  await sql.begin(
    async sql =>
      await sql.unsafe(`
    CREATE TEMP TABLE turns ON COMMIT DROP AS SELECT id, lead(place, 1, 10) OVER w AS place, lead(code, 1, 'a10') OVER w AS code, lead(name, 1, 'Name10') OVER w AS name
      FROM slots WHERE organization_id = 'a' WINDOW w AS (ORDER BY place);
    UPDATE slots SET place = -place, code = NULL, name = 'x' || place WHERE organization_id = 'a';
    UPDATE slots s SET place = t.place, code = t.code, name = t.name FROM turns t WHERE t.id = s.id;
    UPDATE users SET email = 'parked' WHERE email = 'user1@a.example';
    UPDATE users SET email = 'user1@a.example' WHERE email = 'user2@a.example';
    UPDATE users SET email = 'user2@a.example' WHERE email = 'parked'`)
  )
  t.notSame(await rowsOf(sql, 'a'), before)
  const others = await otherRows(sql, 'a')
  const changes = await restore(t, live.connection, archived, a)
  t.match(changes, [
    { table: 'public.slots', changed: 4, added: 0, removed: 0 },
    { table: 'public.users', changed: 2 }
  ])
  t.strictSame(await rowsOf(sql, 'a'), before)
  t.strictSame(await otherRows(sql, 'a'), others)
})

t.test('a key that is written in another way comes back as it was', async t => {
  const { live } = await openFixture(t)
  await live.sql`CREATE TABLE versions (number numeric PRIMARY KEY, organization_id text NOT NULL REFERENCES organizations)`
  await live.sql`INSERT INTO versions VALUES (1.0, 'a'), (2.0, 'a'), (3.0, 'b')`
  const before = await rowsOf(live.sql, 'a')
  const archived = await archive(live.connection, 'a')
  await live.sql`UPDATE versions SET number = 1.00 WHERE number = 1`
  const changes = await restore(t, live.connection, archived, a)
  t.match(changes, [{ table: 'public.versions', changed: 1, added: 0, removed: 0, unchanged: 1 }])
  t.strictSame(await rowsOf(live.sql, 'a'), before)
})

t.test('what another organization holds now is refused', async t => {
  const { live, sql, archived } = await archiveFixture(t)
  const refused = async (messages: RegExp[]): Promise<void> => {
    const [before, others] = [await rowsOf(sql, 'a'), await otherRows(sql, 'a')]
    await t.rejects(restore(t, live.connection, archived, a), {
      code: 'RESTORE_CONFLICT',
      errors: messages.map(message => ({ message }))
    })
    t.strictSame([await rowsOf(sql, 'a'), await otherRows(sql, 'a')], [before, others], 'nothing was changed')
  }
  await sql`UPDATE users SET email = 'left@a.example' WHERE email = 'user3@a.example'`
  await sql`UPDATE users SET email = 'USER3@a.example' WHERE email = 'user3@b.example'`
  await refused([
    /^1 row of public.users \(id=\d+, email=user3@a.example\) can't come back: its value of users_email_key \(email\) is held by a row that is not the organization's$/
  ])
  await sql`UPDATE users SET email = 'user3@b.example' WHERE email = 'user3@a.example'`

  // A user who left A for B, as far as the rule allows: nothing of A leads to it any more.
  await sql`DELETE FROM "Audit Log"."My ""Events""" WHERE user_id = (SELECT id FROM users WHERE email = 'user4@a.example')`
  await sql`UPDATE users SET "organizationId" = 'b', manager_id = NULL WHERE email = 'user4@a.example'`
  await refused([/users_email_key/, /users_pkey \(id\)/])
  await sql`UPDATE users SET "organizationId" = 'a' WHERE email = 'user4@a.example'`

  await sql`UPDATE users SET country = NULL`
  await sql`DELETE FROM countries`
  await refused([/2 rows of public.users \(.*\) lead to rows that are not there any more: public.users \(country\)/])
  await sql`INSERT INTO countries VALUES ('de', 'Germany')`
  await restore(t, live.connection, archived, a)
})

t.test('rows that others hold on to are not taken away', async t => {
  const { live, sql } = await openFixture(t)
  const tenancy = { tables: { 'crm.Comments': { owner: 'author_id' } } }
  const archived = await archive(live.connection, 'a', tenancy)
  const [task] = await sql<
    [{ id: string }]
  >`INSERT INTO crm.tasks (organization_id, project, title) VALUES ('a', 1, 'new') RETURNING id`
  await sql`INSERT INTO crm."Comments" (task_id, author_id, body) SELECT ${task.id}, min(id), 'B on A' FROM users WHERE "organizationId" = 'b'`
  const others = await otherRows(sql, 'a', tenancy)
  await t.rejects(restore(t, live.connection, archived, { ...a, tenancy }), {
    code: 'RESTORE_CONFLICT',
    errors: [{ reason: 'referenced-from-outside', field: 'crm.tasks', message: /1 row .* crm\.Comments \(task_id\)/ }]
  })
  t.strictSame(await otherRows(sql, 'a', tenancy), others)
  await t.rejects(restore(t, live.connection, archived, a), { code: 'TENANCY_VIOLATION' })

  // A declared table may lead to other organizations' rows, which must be there.
  await sql`DELETE FROM crm."Comments" WHERE body = 'B on A'`
  const [theirs] = await sql<
    [{ id: string }]
  >`INSERT INTO crm.tasks (organization_id, project, title) VALUES ('b', 1, 'B''s') RETURNING id`
  await sql`INSERT INTO crm."Comments" (task_id, author_id, body) SELECT ${theirs.id}, min(id), 'A on B' FROM users WHERE "organizationId" = 'a'`
  const crossing = await archive(live.connection, 'a', tenancy)
  await sql`DELETE FROM crm."Comments" WHERE body = 'A on B'`
  await restore(t, live.connection, crossing, { ...a, tenancy })
  t.equal((await sql`SELECT FROM crm."Comments" WHERE body = 'A on B'`).length, 1)
  await sql`DELETE FROM crm.tasks WHERE id = ${theirs.id}`
  await t.rejects(restore(t, live.connection, crossing, { ...a, tenancy }), {
    code: 'RESTORE_CONFLICT',
    errors: [{ reason: 'reference-to-missing-rows', message: /crm\.Comments \(task_id\)/ }]
  })
})

t.test('an archive with foreign rows is refused', async t => {
  const { live, archived } = await archiveFixture(t)
  const forged = {
    ...archived,
    script: Buffer.from(archived.script.toString().replace(/\ta\tuser2@a\.example/, '\tb\tuser2@a.example'))
  }
  t.notOk(forged.script.equals(archived.script))
  // The key to the organization stops it where the archive is loaded; without that key, the merge does.
  await t.rejects(loadScript(t, forged.script), { code: 'DUMP_INVALID' })
  const unguarded = {
    ...forged,
    script: Buffer.from(
      forged.script.toString().replace(/ADD CONSTRAINT "users_organizationId_fkey" .*;/, 'ADD CHECK (true);')
    )
  }
  await t.rejects(restore(t, live.connection, unguarded, a), {
    code: 'RESTORE_CONFLICT',
    errors: [
      { message: /2 rows of Audit Log/ },
      { reason: 'rows-of-another-owner', field: 'public.users', message: /1 row/ },
      {}
    ]
  })
  const short = {
    ...archived,
    dump: { ...archived.dump, tables: archived.dump.tables.map(table => ({ ...table, rows: table.rows + 1 })) }
  }
  await t.rejects(restore(t, live.connection, short, a), { code: 'ARCHIVE_INVALID' })
})

t.test('triggers write nothing elsewhere, and are back afterwards', async t => {
  const { live, sql } = await openFixture(t)
  await sql.unsafe(`
    CREATE TABLE journal (id serial PRIMARY KEY, line text);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      INSERT INTO public.journal (line) VALUES (TG_TABLE_NAME); UPDATE public.organizations SET name = name || '!' WHERE id = 'b'; RETURN NULL; END $$;
    CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON users FOR EACH ROW EXECUTE FUNCTION note();
    CREATE TRIGGER "note Parts" AFTER INSERT OR UPDATE OR DELETE ON crm.readings FOR EACH ROW EXECUTE FUNCTION note();
    CREATE TRIGGER note_one AFTER UPDATE ON crm.readings_new FOR EACH ROW EXECUTE FUNCTION note();
    CREATE TRIGGER note_all AFTER DELETE ON crm.tasks FOR EACH STATEMENT EXECUTE FUNCTION note();
    ALTER TABLE crm.tasks ENABLE ALWAYS TRIGGER note_all;
    CREATE TRIGGER off AFTER DELETE ON crm.tasks FOR EACH STATEMENT EXECUTE FUNCTION note();
    ALTER TABLE crm.tasks DISABLE TRIGGER off;`)
  const triggers = async (): Promise<unknown> =>
    await sql`SELECT tgrelid::regclass::text, tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2`
  const enabled = await triggers()
  const before = await rowsOf(sql, 'a')
  const archived = await archive(live.connection, 'a')
  await damage(sql)
  const others = await otherRows(sql, 'a')
  await restore(t, live.connection, archived, a)
  t.strictSame(await rowsOf(sql, 'a'), before)
  t.strictSame(await otherRows(sql, 'a'), others)
  t.strictSame(await triggers(), enabled)
})

t.test('a cascade that the plan does not know rolls everything back', async t => {
  const { live, archived } = await archiveFixture(t)
  await live.sql`UPDATE organizations SET name = 'changed' WHERE id = 'a'`
  const others = await otherRows(live.sql, 'a')
  const merge = await mergeFrom(t, live.connection, archived, a)
  // As if something within the statement wrote to a table that has nothing to do with it.
  await merge.session`UPDATE public.countries SET name = name`
  await t.rejects(merge.apply(), {
    code: 'RESTORE_CONFLICT',
    reason: 'writes-differ-from-plan',
    message: /public\.countries/
  })
  await merge.rollback()
  t.strictSame(await otherRows(live.sql, 'a'), others)
  t.match(await rowsOf(live.sql, 'a'), { 'public.organizations': [/changed/] })
})

t.test('what the organization writes meanwhile is not lost unseen', async t => {
  const { live, archived } = await archiveFixture(t)
  await damage(live.sql)
  const merge = await mergeFrom(t, live.connection, archived, a)
  await live.sql`INSERT INTO crm.tasks (organization_id, project, title) VALUES ('a', 2, 'meanwhile')`
  await t.rejects(merge.apply(), { code: 'RESTORE_CONFLICT', reason: 'changed-meanwhile', message: /crm\.tasks/ })
  await merge.rollback()
  t.equal((await live.sql`SELECT FROM crm.tasks WHERE title = 'meanwhile'`).length, 1)

  const moved = await mergeFrom(t, live.connection, archived, a)
  await live.sql`UPDATE crm.labels SET organization_id = 'b', name = 'moved' WHERE organization_id = 'a'`
  const others = await otherRows(live.sql, 'a')
  await t.rejects(moved.apply(), { code: 'RESTORE_CONFLICT' })
  await moved.rollback()
  t.strictSame(await otherRows(live.sql, 'a'), others, "a row that moved to B meanwhile is B's")
})

t.test('other organizations read and write for the whole restore', async t => {
  const { live, before, archived } = await archiveFixture(t)
  await damage(live.sql)
  const other = openSql(live.connection, { max: 2 })
  t.teardown(async () => await other.end({ timeout: 1 }))
  await other`SET lock_timeout = '5s'`
  const write = async (n: number): Promise<void> => {
    const [user] = await other<
      [{ id: number }]
    >`INSERT INTO users ("organizationId", email) VALUES ('b', ${`w${n}`}) RETURNING id`
    const [task] = await other<
      [{ id: string }]
    >`INSERT INTO crm.tasks (organization_id, project, title) VALUES ('b', 1, ${`w${n}`}) RETURNING id`
    await other`INSERT INTO crm."Comments" (task_id, author_id) VALUES (${task.id}, ${user.id})`
    await other`UPDATE organizations SET name = ${`w${n}`} WHERE id = 'b'`
    await other`DELETE FROM crm.labels WHERE organization_id = 'b'`
    await other`INSERT INTO crm.labels (organization_id, name) VALUES ('b', ${`w${n}`})`
    await other`UPDATE crm.readings SET value = ${n} WHERE organization_id = 'b'`
    await other`INSERT INTO organizations (id, name) VALUES (${`new${n}`}, 'new')`
  }
  const merge = await mergeFrom(t, live.connection, archived, a)
  await write(1)
  let applied = false
  const applying = merge.apply().finally(() => {
    applied = true
  })
  let written = 2
  while (!applied) await write(written++)
  await applying
  // The transaction is still open, with every change made.
  await write(0)
  const others = await otherRows(live.sql, 'a')
  await merge.commit()
  t.strictSame(await rowsOf(live.sql, 'a'), before)
  t.strictSame(await otherRows(live.sql, 'a'), others)
  const [last] = await live.sql`SELECT name FROM organizations WHERE id = 'b'`
  t.equal(last?.name, 'w0')
})

t.test('schema changes since the backup', async t => {
  const { live, sql, before, archived } = await archiveFixture(t)
  await sql.unsafe(`
    ALTER TABLE users ADD nickname text, ADD level integer NOT NULL DEFAULT 7;
    ALTER TABLE crm.projects ADD serial bigint GENERATED ALWAYS AS IDENTITY;
    ALTER TABLE crm.tasks DROP title_length;
    CREATE TABLE notes (id serial PRIMARY KEY, organization_id text NOT NULL REFERENCES organizations, body text);
    INSERT INTO notes (organization_id, body) VALUES ('a', 'kept');
    UPDATE users SET nickname = 'nick', level = 1`)
  await sql`DELETE FROM "Audit Log"."My ""Events""" WHERE user_id = (SELECT id FROM users WHERE email = 'user4@a.example')`
  await sql`DELETE FROM users WHERE email = 'user4@a.example'`
  await sql`UPDATE users SET mood = NULL WHERE email = 'user3@a.example'`
  const merge = await mergeFrom(t, live.connection, archived, a)
  t.strictSame(
    [...merge.notes],
    [
      ['crm.projects', 'Columns added since the backup keep their value or take their default: serial.'],
      ['public.users', 'Columns added since the backup keep their value or take their default: nickname, level.'],
      ['public.notes', 'The backup does not have this table: its rows are left as they are.']
    ]
  )
  await merge.apply()
  await merge.commit()
  t.strictSame(
    [
      ...(await sql`SELECT email, nickname, level FROM users WHERE email IN ('user4@a.example', 'user3@a.example') ORDER BY email`)
    ],
    [
      { email: 'user3@a.example', nickname: 'nick', level: 1 },
      { email: 'user4@a.example', nickname: null, level: 7 }
    ]
  )
  t.equal((await sql`SELECT FROM notes WHERE body = 'kept'`).length, 1)
  t.strictSame((await rowsOf(sql, 'a'))['crm.tasks'], before['crm.tasks'])

  await sql`ALTER TYPE mood RENAME VALUE 'busy' TO 'hectic'`
  await t.rejects(
    mergeFrom(t, live.connection, archived, a),
    { code: 'RESTORE_CONFLICT', reason: 'rows-do-not-fit', message: /public\.users/, remedy: /values of an enum/ },
    'a value that a type has no more'
  )

  await sql.unsafe(`
    ALTER TABLE users DROP mood, ADD needed integer;
    UPDATE users SET needed = 1;
    ALTER TABLE users ALTER needed SET NOT NULL;
    ALTER TABLE crm.tasks ALTER cost TYPE text;
    DROP TABLE crm.labels`)
  await t.rejects(mergeFrom(t, live.connection, archived, a), {
    code: 'SCHEMA_DRIFT',
    errors: [
      { field: 'crm.labels', reason: 'table-dropped' },
      { field: 'crm.tasks', reason: 'column-type-changed', message: /cost.*numeric.*text/ },
      { field: 'public.users', reason: 'column-dropped', message: /mood/ },
      { field: 'public.users', reason: 'column-needs-value', message: /needed/ }
    ]
  })
})

t.test('a merge can be cancelled at any time', async t => {
  const { live, archived } = await archiveFixture(t)
  await damage(live.sql)
  const damaged = await rowsOf(live.sql, 'a')
  const controller = new AbortController()
  const merge = await mergeFrom(t, live.connection, archived, { ...a, signal: controller.signal })
  await merge.apply()
  controller.abort(new Error('enough'))
  await t.rejects(merge.commit(), { message: 'enough' })
  t.strictSame(await rowsOf(live.sql, 'a'), damaged)
  await t.rejects(mergeFrom(t, live.connection, archived, { ...a, signal: controller.signal }), { message: 'enough' })
})
