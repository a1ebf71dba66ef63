import t from 'tap'
import { archive, loadScript, otherRows, restore, rowsOf } from '../../support/organization.js'
import { createTestDatabase } from '../../support/postgres.js'

t.test('partitions that are for other organizations are in nobody else\'s archive', async (t) => {
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
  for (const secret of [/rival/i, /spare/, /secret plan/i, /secret comment/, /secret_key/, /secret_numbers/, /secret_deep/]) t.notMatch(script, secret)
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
  t.match(await restore(t, live.connection, archived, { organizationId: 'acme' }), [{ table: 'public.deep', removed: 1 }, { table: 'public.listed', added: 1 }, { table: 'public.parts', added: 1 }])
  t.strictSame(await rowsOf(sql, 'acme'), before)
  t.strictSame(await otherRows(sql, 'acme'), others)

  const used = (await archive(live.connection, 'used')).script.toString()
  for (const secret of [/rival/i, /spare/, /acme/]) t.notMatch(used, secret)
})

t.test('a partition for several organizations, or by what an organization has, stays where its rows are', async (t) => {
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
