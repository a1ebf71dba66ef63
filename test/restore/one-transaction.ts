import t from 'tap'
import { parseConnectionUrl, withSql } from '../../src/database/connection/connection.js'
import { startCluster, type TestCluster } from '../support/postgres.js'
import { haveBadDay, setUpTenants, type Tenants } from '../support/tenants.js'

let cluster: TestCluster

t.before(async () => {
  cluster = await startCluster(t, { settings: { wal_level: 'minimal', max_wal_senders: '0' } })
})

/** How many pages of each table hold rows, and how many of those are frozen. */
async function frozenPages({
  database: { adminUrl }
}: Tenants): Promise<Array<{ name: string; pages: number; frozen: number }>> {
  return await withSql(parseConnectionUrl(adminUrl), {}, async sql => {
    await sql`CREATE EXTENSION pg_visibility SCHEMA pg_catalog`
    const pages = await sql<
      Array<{ name: string; pages: number; frozen: number }>
    >`SELECT relname AS name, count(*)::int AS pages, count(*) FILTER (WHERE all_frozen)::int AS frozen
      FROM pg_class, pg_visibility_map(oid) WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace GROUP BY relname ORDER BY relname`
    await sql`DROP EXTENSION pg_visibility`
    return [...pages]
  })
}

t.test(
  'where it spares the log, a whole database is loaded in one transaction, its rows frozen, and can be undone',
  async t => {
    const tenants = await setUpTenants(t, { ids: ['acme'], database: { cluster: cluster.files } })
    const { sql } = tenants.database
    await sql.unsafe(`
    CREATE TABLE readings (day date NOT NULL, value int) PARTITION BY RANGE (day);
    CREATE TABLE readings_old PARTITION OF readings FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
    CREATE TABLE readings_rest PARTITION OF readings DEFAULT;
    INSERT INTO readings SELECT date '2025-12-01' + n, n FROM generate_series(1, 60) n;
    CREATE TABLE parents (id int PRIMARY KEY);
    CREATE TABLE children (n int) INHERITS (parents);
    INSERT INTO children VALUES (1, 1);
    CREATE MATERIALIZED VIEW totals AS SELECT sum(value) FROM readings`)
    const before = await tenants.state()
    const backup = await tenants.create()
    t.equal(backup.databaseScope, 'instance')
    await haveBadDay(tenants)
    const bad = await tenants.state()

    const restored = await tenants.restore(backup.id)
    t.same(await tenants.state(), before)
    t.same(
      await sql`SELECT tableoid::regclass::text AS name, count(*)::int AS rows FROM readings GROUP BY 1 ORDER BY 1`,
      [
        { name: 'readings_old', rows: 30 },
        { name: 'readings_rest', rows: 30 }
      ]
    )
    const pages = await frozenPages(tenants)
    t.ok(pages.length > 5)
    for (const { name, pages: all, frozen } of pages) t.equal(frozen, all, name)

    await tenants.post(`restores/${restored.restoreId}/undo`)
    t.same(await tenants.state(), bad)
  }
)
