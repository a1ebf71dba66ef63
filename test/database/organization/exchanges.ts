import t from 'tap'
import { archive, mergeFrom, openFixture, otherRows, restore, rowsOf } from '../../support/organization.js'

const a = { organizationId: 'a' }

// Each has rows 1 and 2 of A, whose values `exchange` swaps; `filled` are rows of A and B.
const exchanges: Array<{ what: string; columns: string; filled: string; clear: string; exchange: string }> = [
  {
    what: 'a position that must not be negative',
    columns: 'position integer NOT NULL CHECK (position >= 0), UNIQUE (organization_id, position)',
    filled: "(1, 'a', 0), (2, 'a', 1), (3, 'b', 0), (4, 'b', 1)",
    clear: 'position = 10 + id',
    exchange: 'position = 2 - id'
  },
  {
    what: 'an e-mail address with a check',
    columns: "email text NOT NULL UNIQUE CHECK (email ~ '^[^@]+@[^@]+$')",
    filled: "(1, 'a', 'one@example.com'), (2, 'a', 'two@example.com'), (3, 'b', 'three@example.com')",
    clear: "email = 'parked@' || id",
    exchange: "email = CASE id WHEN 1 THEN 'two@example.com' ELSE 'one@example.com' END"
  },
  {
    what: 'a code of capital letters',
    columns: "code varchar(10) NOT NULL UNIQUE CHECK (code ~ '^[A-Z]{10}$')",
    filled: "(1, 'a', 'ABCDEABCDE'), (2, 'a', 'VWXYZVWXYZ'), (3, 'b', 'KLMNOKLMNO')",
    clear: "code = 'QQQQQQQQQ' || chr(64 + id)",
    exchange: "code = CASE id WHEN 1 THEN 'VWXYZVWXYZ' ELSE 'ABCDEABCDE' END"
  },
  {
    what: 'the one default',
    columns: 'is_default boolean NOT NULL, EXCLUDE (organization_id WITH =) WHERE (is_default)',
    filled: "(1, 'a', true), (2, 'a', false), (3, 'b', true)",
    clear: 'is_default = false',
    exchange: 'is_default = (id = 2)'
  },
  {
    what: 'the one that is not deleted',
    columns: 'deleted_at timestamptz, EXCLUDE (organization_id WITH =) WHERE (deleted_at IS NULL)',
    filled: "(1, 'a', NULL), (2, 'a', '2026-01-01'), (3, 'b', NULL)",
    clear: "deleted_at = '2026-01-02'",
    exchange: "deleted_at = CASE id WHEN 1 THEN timestamptz '2026-01-01' END"
  },
  {
    what: 'a key that can be null',
    columns: 'other integer UNIQUE REFERENCES others',
    filled: "(1, 'a', 1), (2, 'a', 2), (3, 'b', 3)",
    clear: 'other = NULL',
    exchange: 'other = 3 - id'
  },
  {
    what: 'a day',
    columns: 'day date NOT NULL, UNIQUE (organization_id, day)',
    filled: "(1, 'a', '2026-01-01'), (2, 'a', '2026-01-02'), (3, 'b', '2026-01-01')",
    clear: "day = date '2030-01-01' + id",
    exchange: "day = date '2026-01-03' - id"
  },
  {
    what: 'times that exclude each other',
    columns: 'during tsrange NOT NULL, EXCLUDE USING gist (during WITH &&)',
    filled:
      "(1, 'a', '[2026-01-01, 2026-01-02)'), (2, 'a', '[2026-01-02, 2026-01-03)'), (3, 'b', '[2026-01-03, 2026-01-04)')",
    clear: "during = tsrange(date '2030-01-01' + id, date '2030-01-02' + id)",
    exchange: "during = tsrange(date '2026-01-03' - id, date '2026-01-04' - id)"
  },
  {
    what: 'a rank of an enumeration',
    columns: 'rank ranks NOT NULL, UNIQUE (organization_id, rank)',
    filled: "(1, 'a', 'gold'), (2, 'a', 'silver'), (3, 'b', 'gold')",
    clear: "rank = CASE id WHEN 1 THEN 'bronze'::ranks ELSE 'tin' END",
    exchange: "rank = CASE id WHEN 1 THEN 'silver'::ranks ELSE 'gold' END"
  }
]

for (const referenced of [false, true]) {
  t.test(
    `rows that exchange their values come back, ${referenced ? 'parked where others refer to them' : 'replaced where nobody does'}`,
    async t => {
      const { live, sql } = await openFixture(t)
      await sql.unsafe(
        `CREATE TYPE ranks AS ENUM ('gold', 'silver', 'bronze', 'tin'); CREATE TABLE others (id integer PRIMARY KEY); INSERT INTO others VALUES (1), (2), (3)`
      )
      for (const [index, { columns, filled }] of exchanges.entries()) {
        await sql.unsafe(`CREATE TABLE thing_${index} (id integer PRIMARY KEY, organization_id text NOT NULL REFERENCES organizations, ${columns});
        INSERT INTO thing_${index} VALUES ${filled}`)
        if (referenced)
          await sql.unsafe(
            `CREATE TABLE part_${index} (id integer PRIMARY KEY, thing integer NOT NULL REFERENCES thing_${index} ON DELETE CASCADE); INSERT INTO part_${index} VALUES (1, 1), (2, 3)`
          )
      }
      const before = await rowsOf(sql, 'a')
      const archived = await archive(live.connection, 'a')
      for (const [index, { clear, exchange }] of exchanges.entries()) {
        await sql.unsafe(
          `UPDATE thing_${index} SET ${clear} WHERE id < 3; UPDATE thing_${index} SET ${exchange} WHERE id < 3`
        )
      }
      const others = await otherRows(sql, 'a')
      const expected = exchanges.map((_, index) => ({
        table: `public.thing_${index}`,
        changed: 2,
        added: 0,
        removed: 0
      }))
      const rehearsal = await mergeFrom(t, live.connection, archived, { ...a, dryRun: true })
      t.match(
        rehearsal.changes.filter(({ changed }) => changed > 0),
        expected
      )
      await rehearsal.rollback()
      t.match(await restore(t, live.connection, archived, a), expected)
      for (const [index, { what }] of exchanges.entries()) {
        const table = `public.thing_${index}`
        t.strictSame((await rowsOf(sql, 'a'))[table], before[table], what)
      }
      t.strictSame(await rowsOf(sql, 'a'), before)
      t.strictSame(await otherRows(sql, 'a'), others)
    }
  )
}

t.test(
  'what can not be parked is replaced with what leads to it, and where that would lose values the rehearsal tells it too',
  async t => {
    const { live, sql } = await openFixture(t)
    await sql.unsafe(`
    CREATE TABLE shelves (id integer PRIMARY KEY, organization_id text NOT NULL REFERENCES organizations, place integer NOT NULL CHECK (place IN (1, 2)),
      CONSTRAINT "one each" UNIQUE (organization_id, place));
    CREATE TABLE books (id integer PRIMARY KEY, shelf integer NOT NULL REFERENCES shelves ON DELETE CASCADE);
    INSERT INTO shelves VALUES (1, 'a', 1), (2, 'a', 2), (3, 'b', 1);
    INSERT INTO books VALUES (1, 1), (2, 3)`)
    const before = await rowsOf(sql, 'a')
    const archived = await archive(live.connection, 'a')
    await sql.unsafe(`ALTER TABLE shelves DROP CONSTRAINT "one each"; UPDATE shelves SET place = 3 - place WHERE organization_id = 'a';
    ALTER TABLE shelves ADD CONSTRAINT "one each" UNIQUE (organization_id, place)`)
    const others = await otherRows(sql, 'a')
    const exchanged = await archive(live.connection, 'a')
    t.strictSame(await restore(t, live.connection, archived, a), [
      { table: 'public.shelves', rows: 2, changed: 2, added: 0, removed: 0, unchanged: 0, comparedBy: 'key' }
    ])
    t.strictSame(await rowsOf(sql, 'a'), before)
    await restore(t, live.connection, exchanged, a)
    t.strictSame(await otherRows(sql, 'a'), others)

    await sql`ALTER TABLE shelves ADD note text`
    for (const dryRun of [true, false]) {
      await t.rejects(mergeFrom(t, live.connection, archived, { ...a, dryRun }), {
        code: 'RESTORE_CONFLICT',
        reason: 'value-exchange-impossible',
        remedy: /DEFERRABLE/,
        errors: [
          {
            field: 'public.shelves',
            reason: 'no-temporary-value',
            message: /2 rows .*one each \(organization_id, place\)/
          }
        ]
      })
    }
    await sql.unsafe(
      'ALTER TABLE shelves DROP CONSTRAINT "one each", ADD CONSTRAINT "one each" UNIQUE (organization_id, place) DEFERRABLE'
    )
    await restore(t, live.connection, archived, a)
    await sql`ALTER TABLE shelves DROP note`
    t.strictSame(await rowsOf(sql, 'a'), before, 'what the remedy says helps')
  }
)

t.test('a column that is always generated', async t => {
  const { live, sql } = await openFixture(t)
  await sql.unsafe(`
    CREATE TABLE choices (code text, organization_id text REFERENCES organizations, n integer GENERATED ALWAYS AS IDENTITY, v text, PRIMARY KEY (code, organization_id));
    INSERT INTO choices (code, organization_id, v) VALUES ('one', 'a', 'x'), ('two', 'a', 'y'), ('one', 'b', 'z')`)
  const before = await rowsOf(sql, 'a')
  const archived = await archive(live.connection, 'a')
  const again = async (): Promise<void> => {
    await sql`DELETE FROM choices WHERE code = 'one' AND organization_id = 'a'`
    await sql`INSERT INTO choices (code, organization_id, v) VALUES ('one', 'a', 'x')`
    await sql`UPDATE choices SET v = 'changed' WHERE code = 'two'`
  }
  await again()
  t.match(await restore(t, live.connection, archived, a), [
    { table: 'public.choices', changed: 2, added: 0, removed: 0 }
  ])
  t.strictSame(await rowsOf(sql, 'a'), before)

  await again()
  await sql.unsafe(
    `CREATE TABLE readers (id integer PRIMARY KEY, code text, organization_id text NOT NULL, FOREIGN KEY (code, organization_id) REFERENCES choices)`
  )
  t.match(
    await restore(t, live.connection, archived, a),
    [{ table: 'public.choices', changed: 2, added: 0, removed: 0 }],
    'also where a key leads'
  )
  t.strictSame((await rowsOf(sql, 'a'))['public.choices'], before['public.choices'])

  await again()
  await sql`ALTER TABLE choices ADD extra text`
  const others = await otherRows(sql, 'a')
  for (const dryRun of [true, false]) {
    await t.rejects(mergeFrom(t, live.connection, archived, { ...a, dryRun }), {
      code: 'RESTORE_CONFLICT',
      errors: [
        {
          field: 'public.choices',
          reason: 'generated-always',
          message: /1 row .*ALTER TABLE "public"."choices" ALTER COLUMN "n" SET GENERATED BY DEFAULT/
        }
      ]
    })
  }
  t.strictSame(await otherRows(sql, 'a'), others)
  await sql`ALTER TABLE "public"."choices" ALTER COLUMN "n" SET GENERATED BY DEFAULT`
  await restore(t, live.connection, archived, a)
  await sql`ALTER TABLE choices DROP extra`
  t.strictSame((await rowsOf(sql, 'a'))['public.choices'], before['public.choices'], 'what the message says helps')
})
