import t from 'tap'
import { withSql } from '../../../src/database/connection/connection.js'
import { parseConnectionUrl } from '../../../src/database/connection/connection-url.js'
import { markerStatements } from '../../../src/database/load/marker.js'
import { openMerge } from '../../../src/database/organization/merge.js'
import { archive, loadScript, otherRows, tenantTable, tools } from '../../support/organization.js'
import { createTestDatabase } from '../../support/postgres.js'

interface Case {
  /** Makes the live state that refuses the restore, and takes it back. */
  make: string
  undo: string
  /** By the superuser. */
  asAdmin?: boolean
  code?: string
  /** The table that both name. */
  field?: string
}

const cases: Record<string, Case> = {
  'a live row below a NOT VALID key': {
    make: 'CREATE TABLE notes (id int PRIMARY KEY, item int); INSERT INTO notes VALUES (1, 9); ALTER TABLE notes ADD FOREIGN KEY (item) REFERENCES items NOT VALID',
    undo: 'DROP TABLE notes',
    field: 'public.items'
  },
  'a NOT VALID key to a row that is gone': {
    make: "DELETE FROM kinds WHERE id = 'b'; ALTER TABLE items ADD CONSTRAINT k FOREIGN KEY (kind) REFERENCES kinds NOT VALID",
    undo: "ALTER TABLE items DROP CONSTRAINT k; INSERT INTO kinds VALUES ('b')",
    field: 'public.items'
  },
  'a key that is checked at the end': {
    make: "DELETE FROM kinds WHERE id = 'b'; ALTER TABLE items ADD CONSTRAINT k FOREIGN KEY (kind) REFERENCES kinds DEFERRABLE INITIALLY DEFERRED NOT VALID",
    undo: "ALTER TABLE items DROP CONSTRAINT k; INSERT INTO kinds VALUES ('b')",
    field: 'public.items'
  },
  'a CHECK that is not valid': {
    make: 'ALTER TABLE items ADD CONSTRAINT k CHECK (n > 2) NOT VALID',
    undo: 'ALTER TABLE items DROP CONSTRAINT k',
    field: 'public.items'
  },
  'a CHECK that raises an error': {
    make: `CREATE FUNCTION strict(n int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN IF n < 3 THEN RAISE 'no'; END IF; RETURN true; END $$;
      ALTER TABLE items ADD CONSTRAINT k CHECK (strict(n)) NOT VALID`,
    undo: 'ALTER TABLE items DROP CONSTRAINT k; DROP FUNCTION strict'
  },
  'a column that is required now': {
    make: 'ALTER TABLE items ALTER note SET NOT NULL',
    undo: 'ALTER TABLE items ALTER note DROP NOT NULL',
    field: 'public.items'
  },
  'a stricter domain': {
    make: "ALTER DOMAIN word ADD CONSTRAINT k CHECK (value <> 'word 3') NOT VALID",
    undo: 'ALTER DOMAIN word DROP CONSTRAINT k'
  },
  'a unique index on an expression': {
    make: 'CREATE UNIQUE INDEX k ON items (lower(note))',
    undo: 'DROP INDEX k',
    field: 'public.items'
  },
  'a partial unique index': {
    make: 'CREATE UNIQUE INDEX k ON items (kind) WHERE n < 9',
    undo: 'DROP INDEX k',
    field: 'public.items'
  },
  'an index whose expression fails': { make: 'CREATE INDEX k ON items ((100 / (n - 3)))', undo: 'DROP INDEX k' },
  'a generated column that fails': {
    make: 'ALTER TABLE items ADD g int GENERATED ALWAYS AS (100 / (n - 3)) STORED',
    undo: 'ALTER TABLE items DROP g'
  },
  'an exclusion': {
    make: 'ALTER TABLE items ADD CONSTRAINT k EXCLUDE USING gist (int4range(n, n + 3) WITH &&)',
    undo: 'ALTER TABLE items DROP CONSTRAINT k',
    field: 'public.items'
  },
  'a partition that is gone': {
    make: 'ALTER TABLE logs DETACH PARTITION logs_1',
    undo: 'ALTER TABLE logs ATTACH PARTITION logs_1 FOR VALUES FROM (0) TO (10)',
    field: 'public.logs'
  },
  'a CHECK of one partition': {
    make: 'ALTER TABLE logs_1 ADD CONSTRAINT k CHECK (day > 2) NOT VALID',
    undo: 'ALTER TABLE logs_1 DROP CONSTRAINT k',
    field: 'public.logs_1'
  },
  'a value that another organization holds': {
    make: "INSERT INTO items VALUES (2, 'globex', 'a', 'theirs', 9, 'word')",
    undo: 'DELETE FROM items WHERE id = 2',
    field: 'public.items'
  },
  "a schema of the service's own name": {
    make: 'CREATE SCHEMA dumbassets_backup',
    undo: 'DROP SCHEMA dumbassets_backup',
    asAdmin: true,
    code: 'ANY'
  },
  'row security': {
    make: 'ALTER TABLE items ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY',
    undo: 'ALTER TABLE items DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY',
    code: 'TENANCY_UNSUPPORTED'
  },
  'a rule': {
    make: 'CREATE RULE k AS ON INSERT TO items DO ALSO NOTIFY x',
    undo: 'DROP RULE k ON items',
    code: 'SCHEMA_DRIFT'
  }
}

t.test('a dry run of a merge is refused as the restore is, and changes nothing', async t => {
  const live = await createTestDatabase(t)
  const { sql } = live
  await sql.unsafe(`
    CREATE DOMAIN word AS text;
    CREATE TABLE organizations (id text PRIMARY KEY);
    CREATE TABLE kinds (id text PRIMARY KEY);
    CREATE TABLE items (id serial PRIMARY KEY, org text NOT NULL REFERENCES organizations, kind text, note text, n int, w word);
    CREATE TABLE logs (org text NOT NULL REFERENCES organizations, day int) PARTITION BY RANGE (day);
    CREATE TABLE logs_1 PARTITION OF logs FOR VALUES FROM (0) TO (10);
    CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'a trigger has fired'; END $$;
    INSERT INTO organizations VALUES ('acme'), ('globex');
    INSERT INTO kinds VALUES ('a'), ('b');
    INSERT INTO items SELECT n, 'acme', 'b', nullif('Note', 'Note' || n % 2), n, 'word ' || n FROM generate_series(1, 4) n;
    UPDATE items SET note = NULL WHERE id = 1;
    INSERT INTO items VALUES (20, 'globex', 'a', 'theirs', 20, 'word');
    INSERT INTO logs VALUES ('acme', 1), ('globex', 5);
    CREATE TRIGGER shout BEFORE INSERT OR UPDATE OR DELETE ON items FOR EACH ROW EXECUTE FUNCTION shout()`)
  const archived = await archive(live.connection, 'acme')
  const { connection: scratch } = await loadScript(t, archived.script)
  await sql.unsafe(`ALTER TABLE items DISABLE TRIGGER shout; DELETE FROM items WHERE org = 'acme'; DELETE FROM logs WHERE org = 'acme';
    INSERT INTO items VALUES (9, 'acme', 'a', 'late', 9, 'word'); ALTER TABLE items ENABLE TRIGGER shout; SELECT setval('items_id_seq', 1)`)

  const attempt = async (dryRun: boolean): Promise<{ code: string; fields: unknown } | null> => {
    const marker = markerStatements('00000000-0000-4000-8000-000000000001')
    const options = {
      connection: live.connection,
      scratch,
      tools,
      organizationId: 'acme',
      tenantTable,
      tables: archived.dump.tables,
      marker,
      signal: new AbortController().signal
    }
    try {
      const merge = await openMerge({ ...options, dryRun })
      try {
        if (dryRun) return null
        await merge.apply()
        return null
      } finally {
        await merge.rollback()
      }
    } catch (error) {
      const { code, errors = [] } = error as { code: string; errors?: Array<{ field?: string }> }
      return { code, fields: [...new Set(errors.map(({ field }) => field))] }
    }
  }
  const look = async (): Promise<unknown> => [
    await otherRows(sql, 'acme'),
    await sql`SELECT * FROM items ORDER BY id`,
    await sql`SELECT last_value FROM items_id_seq`,
    await sql`SELECT tgenabled FROM pg_trigger WHERE tgname = 'shout'`
  ]

  t.equal(await attempt(true), null, 'nothing stands in the way')
  t.match(await sql`SELECT last_value FROM items_id_seq`, [{ last_value: '1' }], 'a sequence is left alone')
  for (const [name, { make, undo, asAdmin = false, code = 'RESTORE_CONFLICT', field }] of Object.entries(cases)) {
    const run = async (statements: string): Promise<void> => {
      if (asAdmin)
        await withSql(parseConnectionUrl(live.adminUrl), {}, async admin => {
          await admin.unsafe(statements)
        })
      else
        await sql.unsafe(
          `ALTER TABLE items DISABLE TRIGGER shout; ${statements}; ALTER TABLE items ENABLE TRIGGER shout`
        )
    }
    await run(make)
    const before = await look()
    const rehearsed = await attempt(true)
    t.same(await look(), before, `${name}: nothing has changed`)
    t.same(
      await sql`SELECT mode FROM pg_locks WHERE relation = 'items'::regclass AND pid <> pg_backend_pid()`,
      [],
      `${name}: nothing is locked`
    )
    const restored = await attempt(false)
    t.ok(rehearsed !== null && restored !== null, `${name}: both are refused`)
    t.equal(rehearsed?.code, restored?.code, `${name}: by the same code`)
    if (code !== 'ANY') t.equal(rehearsed?.code, code, name)
    if (field !== undefined)
      t.match(
        [rehearsed?.fields, restored?.fields].map(String),
        [new RegExp(field), new RegExp(field)],
        `${name}: for the same table`
      )
    await run(undo)
  }
  t.comment(`${Object.keys(cases).length} live states, each refused alike by a dry run and by a restore`)
  t.equal(await attempt(false), null, 'and without them it is restored')
})
