import t from 'tap'
import { createTestDatabase } from '../../support/postgres.js'

t.test('arrays go to PostgreSQL and come back as they are', async t => {
  const { sql } = await createTestDatabase(t)

  for (const values of [
    [],
    ['a', 'b'],
    ['', ' ', 'NULL', 'null', null],
    ['a"b', 'a\\b', '\\"', '{', '}', ',', '{a,b}', '\n', 'ä\u{1F600}']
  ]) {
    t.strictSame(
      [
        ...(await sql`SELECT ${values as string[]}::text[] AS came, cardinality(${values as string[]}::text[]) AS count`)
      ],
      [{ came: values, count: values.length }]
    )
  }
  const numbers = [0, 1, -2147483648]
  t.strictSame(
    [
      ...(await sql`SELECT ${numbers}::integer[] AS integers, ${[4294967295]}::oid[] AS oids, 1 = ANY(${numbers}) AS found`)
    ],
    [{ integers: numbers, oids: [4294967295], found: true }]
  )
  t.strictSame(
    [
      ...(await sql`SELECT ARRAY[true, false, NULL] AS bools, ARRAY[1::int2] AS small, ARRAY[9007199254740993] AS big, ARRAY['r'::"char"] AS kinds, ARRAY['a'::name] AS names, ARRAY['a'::varchar] AS varchars`)
    ],
    [{ bools: [true, false, null], small: [1], big: ['9007199254740993'], kinds: ['r'], names: ['a'], varchars: ['a'] }]
  )
})

t.test('the driver asks the server nothing of its own as it connects', async t => {
  const { sql } = await createTestDatabase(t)
  const statements = await sql`SELECT statement FROM pg_prepared_statements`
  t.strictSame(
    statements.map(({ statement }) => statement),
    ['SELECT statement FROM pg_prepared_statements']
  )
})
