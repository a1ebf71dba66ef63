import t from 'tap'
import { scramVerifier } from '../../../src/database/embedded/scram.js'
import { openSql, withSql } from '../../../src/database/connection/connection.js'
import { createTestDatabase } from '../../support/postgres.js'

t.test('PostgreSQL takes the verifier for the password', async t => {
  const { connection, sql, user } = await createTestDatabase(t)
  await sql.unsafe(`ALTER ROLE ${user} PASSWORD '${scramVerifier('p assword')}'`)
  const [row] = await withSql(connection, { password: 'p assword' }, async sql => await sql`SELECT current_user AS who`)
  t.equal(row?.who, user)
  const wrong = openSql(connection, { password: 'wrong' })
  t.teardown(async () => await wrong.end())
  await t.rejects(wrong`SELECT 1`, { code: '28P01' })
})

t.test('a password outside ASCII is refused', async t => {
  t.throws(() => scramVerifier('pässword'), TypeError)
})
