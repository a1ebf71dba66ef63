import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { openSql, withSql, type Connection } from '../../../src/database/connection/connection.js'
import { dumpInstance } from '../../../src/database/instance-dump.js'
import { openSnapshot, type Snapshot } from '../../../src/database/snapshot.js'
import { readPipe } from '../../../src/io/read-pipe.js'
import { tools } from '../../support/organization.js'
import { startCluster } from '../../support/postgres.js'

/** Reads the dump to its end; `at` is called once its first bytes are there. */
async function dump(
  connection: Connection,
  snapshot: Snapshot,
  at: () => Promise<void> = async () => {}
): Promise<void> {
  const { descriptor, finish, close } = await dumpInstance(
    connection,
    tools,
    { snapshot, loadPath: '', viaRoots: false },
    new AbortController().signal
  )
  let begun = false
  for await (const _ of readPipe(descriptor)) {
    if (!begun) await at()
    begun = true
  }
  await finish().finally(close)
}

t.test('a dump that loses its connection says so, and not that pg_dump failed', async t => {
  const cluster = await startCluster(t, { settings: { max_connections: '8', superuser_reserved_connections: '0' } })
  const { connection } = cluster
  await withSql(
    connection,
    {},
    async sql =>
      await sql`CREATE TABLE large AS SELECT n, repeat(md5(n::text), 100) AS text FROM generate_series(1, 20000) n`
  )
  const isDumped = async (sql: ReturnType<typeof openSql>): Promise<boolean> =>
    (await sql`SELECT FROM pg_stat_activity WHERE application_name = 'pg_dump'`).length > 0

  const snapshot = await openSnapshot(connection)
  await t.rejects(
    dump(
      connection,
      snapshot,
      async () =>
        await withSql(connection, {}, async sql => {
          t.ok(await isDumped(sql))
          await sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pg_dump'`
        })
    ),
    { code: 'DATABASE_UNAVAILABLE', reason: 'connection-lost' },
    'its session is ended'
  )

  await dump(connection, snapshot)
  await snapshot.close()
  // The session ends a moment after its client.
  for (let sql = openSql(connection); ; await delay(10)) {
    const left =
      await sql`SELECT FROM pg_stat_activity WHERE xact_start IS NOT NULL AND pid <> pg_backend_pid() AND backend_type = 'client backend'`
    if (left.length > 0) continue
    await sql.end()
    break
  }
  await t.rejects(
    dump(connection, snapshot),
    { code: 'DATABASE_UNAVAILABLE' },
    'the session that held the snapshot has ended'
  )

  const greedy = openSql(connection, { max: 20 })
  await Promise.allSettled(Array.from({ length: 20 }, async () => await greedy`SELECT pg_sleep(0.2)`))
  await t.rejects(
    dump(connection, snapshot),
    { code: 'DATABASE_UNAVAILABLE', reason: 'no-free-connection', remedy: /max_connections/ },
    'none is left'
  )
  await greedy.end({ timeout: 1 })

  await cluster.stop('immediate')
  await t.rejects(
    dump(connection, snapshot),
    { code: 'DATABASE_UNAVAILABLE', reason: 'connection-refused' },
    'it is stopped'
  )
  await t.rejects(dump({ ...connection, host: '/nowhere' }, snapshot), { code: 'DATABASE_UNAVAILABLE' }, 'no socket')
  await cluster.start()
})

t.test('what pg_dump itself refuses is its own failure', async t => {
  const cluster = await startCluster(t)
  const { connection } = cluster
  await withSql(
    connection,
    {},
    async sql => await sql.unsafe("CREATE TABLE secret (); CREATE ROLE reader LOGIN PASSWORD 'reader'")
  )
  const snapshot = await openSnapshot(connection)
  await t.rejects(dump({ ...connection, user: 'reader', password: 'reader' }, snapshot), {
    code: 'DUMP_FAILED',
    reason: 'pg-dump-failed'
  })
  await snapshot.close()
})
