import t from 'tap'
import { archive, changed, loadScript, mergeFrom, otherRows, restore, rowsOf } from '../../support/organization.js'
import { createTestDatabase } from '../../support/postgres.js'

t.test("partitions that are for other organizations are in nobody else's archive", async t => {
  const live = await createTestDatabase(t)
  const { sql } = live
  await sql.unsafe(`
    CREATE TABLE organizations (id text PRIMARY KEY);
    INSERT INTO organizations VALUES ('acme'), ('rival'), ('spare'), ('used');
    CREATE TABLE listed (org text NOT NULL REFERENCES organizations, n int, note text CHECK (note <> ''), PRIMARY KEY (org, n)) PARTITION BY LIST (org);
    CREATE INDEX ON listed (n);
    CREATE TABLE listed_acme PARTITION OF listed FOR VALUES IN ('acme');
    CREATE TABLE "Secret plan of ""rival""" PARTITION OF listed FOR VALUES IN ('rival');
    COMMENT ON TABLE "Secret plan of ""rival""" IS 'secret comment';
    CREATE INDEX ON "Secret plan of ""rival""" (note);
    CREATE TABLE countries (code text PRIMARY KEY);
    ALTER TABLE "Secret plan of ""rival""" ADD CONSTRAINT secret_key FOREIGN KEY (note) REFERENCES countries NOT VALID;
    CREATE SEQUENCE secret_numbers OWNED BY "Secret plan of ""rival""".n;
    ALTER TABLE "Secret plan of ""rival""" ALTER n SET DEFAULT nextval('secret_numbers');
    CREATE TABLE secret_used PARTITION OF listed FOR VALUES IN ('used');
    CREATE VIEW of_used AS SELECT n FROM secret_used;
    CREATE TABLE listed_rest PARTITION OF listed DEFAULT;
    CREATE TABLE parts (org text NOT NULL, n int NOT NULL, FOREIGN KEY (org, n) REFERENCES listed ON DELETE CASCADE);
    CREATE TABLE deep (org text NOT NULL REFERENCES organizations, at int) PARTITION BY RANGE (at);
    CREATE TABLE deep_1 PARTITION OF deep FOR VALUES FROM (0) TO (10) PARTITION BY LIST (org);
    CREATE TABLE deep_acme PARTITION OF deep_1 FOR VALUES IN ('acme') PARTITION BY RANGE (at);
    CREATE TABLE deep_acme_1 PARTITION OF deep_acme FOR VALUES FROM (0) TO (5);
    CREATE TABLE secret_deep PARTITION OF deep_1 FOR VALUES IN ('rival', 'spare') PARTITION BY RANGE (at);
    CREATE TABLE secret_deep_1 PARTITION OF secret_deep FOR VALUES FROM (0) TO (5);
    INSERT INTO countries VALUES ('note of rival');
    INSERT INTO listed SELECT o, n, 'note of ' || o FROM unnest(ARRAY['acme', 'rival', 'spare']) o, generate_series(1, 3) n;
    INSERT INTO parts SELECT org, n FROM listed;
    INSERT INTO deep VALUES ('acme', 1), ('rival', 2), ('spare', 3)`)
  const before = await rowsOf(sql, 'acme')
  const archived = await archive(live.connection, 'acme')
  const script = archived.script.toString()
  for (const secret of [
    /rival/i,
    /spare/,
    /secret plan/i,
    /secret comment/,
    /secret_key/,
    /secret_numbers/,
    /secret_deep/
  ])
    t.notMatch(script, secret)
  t.match(script, /secret_used/, 'a view needs it')
  for (const kept of [/listed_acme/, /listed_rest/, /deep_acme_1/]) t.match(script, kept)

  const alone = await loadScript(t, archived.script)
  t.strictSame(await rowsOf(alone.sql, 'acme'), before)
  t.equal((await alone.sql`SELECT FROM pg_index WHERE NOT indisvalid`).length, 0)
  await alone.sql`INSERT INTO organizations VALUES ('later')`
  await alone.sql`INSERT INTO listed VALUES ('later', 1, 'goes to the rest')`

  await sql`DELETE FROM listed WHERE org = 'acme' AND n = 2`
  await sql`INSERT INTO deep VALUES ('acme', 4)`
  const others = await otherRows(sql, 'acme')
  t.match(await restore(t, live.connection, archived, { organizationId: 'acme' }), [
    { table: 'public.deep', removed: 1 },
    { table: 'public.listed', added: 1 },
    { table: 'public.parts', added: 1 }
  ])
  t.strictSame(await rowsOf(sql, 'acme'), before)
  t.strictSame(await otherRows(sql, 'acme'), others)

  const used = (await archive(live.connection, 'used')).script.toString()
  for (const secret of [/rival/i, /spare/, /acme/]) t.notMatch(used, secret)
})

t.test('a partition for several organizations, or by what an organization has, stays where its rows are', async t => {
  const live = await createTestDatabase(t)
  const { sql } = live
  await sql.unsafe(`
    CREATE TABLE organizations (id int PRIMARY KEY);
    INSERT INTO organizations VALUES (1), (2), (3);
    CREATE TABLE projects (code text PRIMARY KEY, org int NOT NULL REFERENCES organizations);
    INSERT INTO projects VALUES ('ours', 1), ('theirs', 2);
    CREATE TABLE tasks (project text NOT NULL REFERENCES projects, title text) PARTITION BY LIST (project);
    CREATE TABLE tasks_ours PARTITION OF tasks FOR VALUES IN ('ours');
    CREATE TABLE tasks_secret PARTITION OF tasks FOR VALUES IN ('theirs');
    CREATE TABLE numbered (org int NOT NULL REFERENCES organizations, n int) PARTITION BY LIST (org);
    CREATE TABLE numbered_both PARTITION OF numbered FOR VALUES IN (1, 2);
    CREATE TABLE numbered_secret PARTITION OF numbered FOR VALUES IN (3);
    CREATE TABLE marks (mark numbered_secret);
    INSERT INTO tasks VALUES ('ours', 'a'), ('theirs', 'b')`)
  const { script } = await archive(live.connection, '1')
  t.match(script.toString(), /tasks_ours[^]*/)
  t.match(script.toString(), /numbered_both/, 'it is for the organization, though empty')
  t.notMatch(script.toString(), /tasks_secret|theirs/)
  t.match(script.toString(), /numbered_secret/, 'a column has its type')
  await loadScript(t, script)
  await sql`DROP TABLE marks`
  const without = (await archive(live.connection, '1')).script
  t.notMatch(without.toString(), /numbered_secret/)
  await loadScript(t, without)
})

t.test('a foreign key of a single partition, and one that leads to a single partition', async t => {
  const live = await createTestDatabase(t)
  const { sql } = live
  await sql.unsafe(`
    CREATE TABLE organizations (id text PRIMARY KEY);
    INSERT INTO organizations VALUES ('acme'), ('rival');
    CREATE TABLE projects (id int PRIMARY KEY, org text NOT NULL REFERENCES organizations, name text);
    CREATE TABLE events (org text NOT NULL REFERENCES organizations, at int, project int, note text, PRIMARY KEY (org, at)) PARTITION BY RANGE (at);
    CREATE TABLE events_old PARTITION OF events FOR VALUES FROM (0) TO (100);
    CREATE TABLE events_new PARTITION OF events FOR VALUES FROM (100) TO (200);
    CREATE TABLE events_rest PARTITION OF events DEFAULT;
    ALTER TABLE events_new ADD CONSTRAINT of_project FOREIGN KEY (project) REFERENCES projects ON DELETE CASCADE;
    CREATE TABLE remarks (id int PRIMARY KEY, org text NOT NULL, at int, FOREIGN KEY (org, at) REFERENCES events_new ON DELETE CASCADE,
      FOREIGN KEY (org) REFERENCES organizations);
    INSERT INTO projects VALUES (1, 'acme', 'one'), (2, 'acme', 'two'), (3, 'rival', 'three');
    INSERT INTO events SELECT o, at, CASE WHEN at < 100 THEN 9 WHEN o = 'acme' THEN at % 2 + 1 ELSE 3 END, 'event' FROM unnest(ARRAY['acme', 'rival']) o, unnest(ARRAY[1, 2, 101, 102, 103, 201]) at;
    INSERT INTO remarks SELECT at + ascii(org), org, at FROM events WHERE at BETWEEN 100 AND 199`)
  const before = await rowsOf(sql, 'acme')
  const archived = await archive(live.connection, 'acme')
  t.strictSame(await rowsOf((await loadScript(t, archived.script)).sql, 'acme'), before)

  // The old rows lead by no key to the project 9 that is added, and are changed nevertheless.
  await sql.unsafe(`
    DELETE FROM projects WHERE id = 1; INSERT INTO projects VALUES (9, 'acme', 'nine');
    UPDATE events SET note = 'changed' WHERE org = 'acme' AND at IN (1, 101);
    INSERT INTO events VALUES ('acme', 104, 9, 'added'); INSERT INTO remarks VALUES (1, 'acme', 104);
    DELETE FROM events WHERE org = 'acme' AND at = 103`)
  const [mutated, others] = [await rowsOf(sql, 'acme'), await otherRows(sql, 'acme')]
  const checkpoint = await archive(live.connection, 'acme')
  const rehearsal = await mergeFrom(t, live.connection, archived, { organizationId: 'acme', dryRun: true })
  await rehearsal.rollback()
  t.match(changed(rehearsal), [
    { table: 'public.events', added: 2, changed: 2, removed: 1 },
    { table: 'public.projects', added: 1, removed: 1 },
    { table: 'public.remarks', added: 2, removed: 1 }
  ])
  t.strictSame(await restore(t, live.connection, archived, { organizationId: 'acme' }), changed(rehearsal))
  t.strictSame([await rowsOf(sql, 'acme'), await otherRows(sql, 'acme')], [before, others])
  await restore(t, live.connection, checkpoint, { organizationId: 'acme' })
  t.strictSame(
    [await rowsOf(sql, 'acme'), await otherRows(sql, 'acme')],
    [mutated, others],
    'the undo brings everything back'
  )

  // A key that came after the backup refuses the old rows, in a rehearsal too.
  await sql.unsafe(
    'UPDATE events SET project = NULL WHERE at < 100; ALTER TABLE events_old ADD FOREIGN KEY (project) REFERENCES projects'
  )
  for (const dryRun of [true, false]) {
    await t.rejects(mergeFrom(t, live.connection, archived, { organizationId: 'acme', dryRun }), {
      code: 'RESTORE_CONFLICT',
      errors: [
        {
          reason: 'reference-to-missing-rows',
          field: 'public.events',
          message:
            /2 rows .*\(org=acme, at=1, project=9; org=acme, at=2, project=9\).*public\.events \(project\) → public\.projects \(id\)/
        }
      ]
    })
  }
})

t.test('a key that leads to the partition of another organization', async t => {
  const live = await createTestDatabase(t)
  const { sql } = live
  await sql.unsafe(`
    CREATE TABLE organizations (id text PRIMARY KEY);
    INSERT INTO organizations VALUES ('acme'), ('rival');
    CREATE TABLE listed (org text NOT NULL REFERENCES organizations, n int, PRIMARY KEY (org, n)) PARTITION BY LIST (org);
    CREATE TABLE listed_acme PARTITION OF listed FOR VALUES IN ('acme');
    CREATE TABLE listed_rival PARTITION OF listed FOR VALUES IN ('rival');
    CREATE TABLE parts (id int PRIMARY KEY, org text NOT NULL REFERENCES organizations, n int, FOREIGN KEY (org, n) REFERENCES listed_rival);
    INSERT INTO listed VALUES ('acme', 1), ('rival', 1);
    INSERT INTO parts VALUES (1, 'acme', NULL), (2, 'rival', 1)`)
  const before = await rowsOf(sql, 'acme')
  const archived = await archive(live.connection, 'acme')
  t.strictSame(await rowsOf((await loadScript(t, archived.script)).sql, 'acme'), before)
  await sql`DELETE FROM parts WHERE org = 'acme'`
  const others = await otherRows(sql, 'acme')
  await restore(t, live.connection, archived, { organizationId: 'acme' })
  t.strictSame([await rowsOf(sql, 'acme'), await otherRows(sql, 'acme')], [before, others])
})
