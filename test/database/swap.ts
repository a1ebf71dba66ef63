import t from 'tap'
import { openSql, withSql, type Connection } from '../../src/database/connection/connection.js'
import { renameDatabases } from '../../src/database/swap.js'
import { sharedCluster } from '../support/shared-cluster.js'
import { createTestDatabase } from '../support/postgres.js'

/** A database with a second one beside it, each of which says which one it is. */
async function setUp(t: Parameters<typeof createTestDatabase>[0]) {
  const { connection, name: live, sql } = await createTestDatabase(t)
  await sql`CREATE TABLE whoami AS SELECT 'old' AS who`
  await sql.end()
  const [fresh, checkpoint] = [`${live}_fresh`, `${live}_checkpoint`]
  await withSql(connection, { database: 'postgres' }, async sql => {
    await sql.unsafe(`CREATE DATABASE ${fresh}`)
  })
  await withSql(connection, { database: fresh }, async sql => {
    await sql`CREATE TABLE whoami AS SELECT 'new' AS who`
  })
  return {
    connection,
    live,
    fresh,
    checkpoint,
    both: [
      { from: live, to: checkpoint },
      { from: fresh, to: live }
    ]
  }
}

async function whoIs(connection: Connection, database: string): Promise<string | null> {
  try {
    return await withSql(
      connection,
      { database },
      async sql => (await sql<[{ who: string }]>`SELECT who FROM whoami`)[0].who
    )
  } catch (error) {
    if ((error as { code?: string }).code === '3D000') return null
    throw error
  }
}

t.test('names are exchanged at once, and sessions are ended, busy or idle in a transaction', async t => {
  const { connection, live, fresh, checkpoint, both } = await setUp(t)
  const sessions = Array.from({ length: 3 }, () => openSql(connection))
  t.teardown(async () => {
    await Promise.all(
      sessions.map(async session => {
        await session.end({ timeout: 0 })
      })
    )
  })
  const [busy, idle, holding] = sessions as [(typeof sessions)[0], (typeof sessions)[0], (typeof sessions)[0]]
  await idle`SELECT 1`
  await holding.unsafe('BEGIN; LOCK TABLE whoami IN ACCESS EXCLUSIVE MODE')
  const query = busy`SELECT pg_sleep(600)`.then(
    () => null,
    (error: unknown) => error
  )
  const outageMs = await renameDatabases(connection, both)
  t.match(await query, { code: /57P01|CONNECTION_CLOSED|ECONNRESET/ }, 'its session was ended')
  t.ok(Number.isInteger(outageMs) && outageMs >= 0)
  t.same(
    [await whoIs(connection, live), await whoIs(connection, checkpoint), await whoIs(connection, fresh)],
    ['new', 'old', null]
  )
})

t.test("one rename that can't be takes the other back", async t => {
  const { connection, live, fresh, checkpoint, both } = await setUp(t)
  await withSql(connection, { database: 'postgres' }, async sql => {
    await sql.unsafe(`CREATE DATABASE ${live}_taken`)
  })
  await t.rejects(renameDatabases(connection, [both[0]!, { from: fresh, to: `${live}_taken` }]), {
    code: 'DATABASE_ERROR',
    reason: 'sqlstate-42p04'
  })
  await t.rejects(renameDatabases(connection, [both[0]!, { from: `${live}_absent`, to: live }]), {
    code: 'DATABASE_UNAVAILABLE'
  })
  t.same(
    [await whoIs(connection, live), await whoIs(connection, checkpoint), await whoIs(connection, fresh)],
    ['old', null, 'new']
  )
})

t.test('a session that we may not end is named, and no name has changed', async t => {
  const { connection, live, fresh, checkpoint, both } = await setUp(t)
  const { password } = await sharedCluster()
  const admin = openSql({ ...connection, user: 'postgres', password }, { applicationName: 'nightly job' })
  t.teardown(async () => {
    await admin.end({ timeout: 1 })
  })
  const [{ pid }] = await admin<[{ pid: number }]>`SELECT pg_backend_pid() AS pid`
  await t.rejects(renameDatabases(connection, both), {
    code: 'DATABASE_BUSY',
    message: new RegExp(`session ${pid} of postgres \\(nightly job\\)`),
    remedy: /superuser/
  })
  t.same(
    [await whoIs(connection, live), await whoIs(connection, checkpoint), await whoIs(connection, fresh)],
    ['old', null, 'new']
  )
  await admin.end()
  await renameDatabases(connection, both)
  t.equal(await whoIs(connection, live), 'new')
})
