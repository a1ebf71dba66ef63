import { randomBytes } from 'node:crypto'
import type postgres from 'postgres'
import { openSql, withSql } from '../../src/database/connection/connection.js'
import type { Connection } from '../../src/database/connection/connection.js'
import { quoteIdentifier, quoteLiteral } from '../../src/database/identifiers.js'
import { scramVerifier } from '../../src/database/embedded/scram.js'
import { createCluster, removeCluster, startClusterServer, stopClusterServer, superuser } from './cluster.js'
import type { ClusterFiles } from './cluster.js'
import { sharedCluster } from './shared-cluster.js'

/** The part of tap's `t` that is needed here. */
interface Test {
  teardown(fn: () => Promise<void>): unknown
}

export interface TestDatabaseOptions {
  /** Who connects: a fresh role that owns the database (default), or the cluster's superuser. */
  role?: 'owner' | 'superuser'
  createdb?: boolean
  createrole?: boolean
  cluster?: ClusterFiles
  /** Such as LATIN1; of the cluster's unless told. */
  encoding?: string
  /** What the database's and the role's names end in, at most 46 bytes. */
  suffix?: string
}

export interface TestDatabase {
  /** DATABASE_URL of the database, as `user`. */
  url: string
  connection: Connection
  /** Three connections as `user`; ended at teardown. */
  sql: postgres.Sql
  /** The same database as the superuser. */
  adminUrl: string
  name: string
  user: string
}

/**
 * A fresh database owned by a fresh role in the shared cluster, both unique to the test. At teardown everything goes:
 * databases that the role owns or whose name begins with the test's (after a swap too), and the role.
 */
export async function createTestDatabase(
  t: Test,
  { role = 'owner', createdb = true, createrole = true, cluster, encoding, suffix = '' }: TestDatabaseOptions = {}
): Promise<TestDatabase> {
  const admin = superuser(cluster ?? (await sharedCluster()))
  const name = `test_${randomBytes(6).toString('hex')}${suffix}`
  const owner: Connection = { ...admin, user: name, password: randomBytes(12).toString('hex'), database: name }
  await withSql(admin, {}, async sql => {
    const attributes = `${createdb ? 'CREATEDB' : 'NOCREATEDB'} ${createrole ? 'CREATEROLE' : 'NOCREATEROLE'}`
    await sql.unsafe(
      `CREATE ROLE ${quoteIdentifier(name)} LOGIN NOSUPERUSER ${attributes} PASSWORD ${quoteLiteral(scramVerifier(owner.password ?? ''))}`
    )
    await sql.unsafe(
      `CREATE DATABASE ${quoteIdentifier(name)} OWNER ${quoteIdentifier(name)}${encoding === undefined ? '' : ` ENCODING ${quoteLiteral(encoding)} TEMPLATE template0`}`
    )
  })
  const connection = role === 'owner' ? owner : { ...admin, database: name }
  const sql = openSql(connection, { max: 3, applicationName: 'test' })
  t.teardown(async () => {
    await sql.end({ timeout: 1 })
    await withSql(admin, {}, async sql => await dropAll(sql, name))
  })
  return {
    url: urlOf(connection),
    connection,
    sql,
    adminUrl: urlOf({ ...admin, database: name }),
    name,
    user: connection.user
  }
}

export interface TestCluster {
  /** The superuser's connection. */
  connection: Connection
  files: ClusterFiles
  stop(mode?: 'fast' | 'immediate'): Promise<void>
  /** SIGKILL to the server, as a crash. */
  kill(): void
  start(): Promise<void>
}

/** A running cluster of the test's own, for tests that stop or kill PostgreSQL. `settings` are server parameters. */
export async function startCluster(
  t: Test,
  { settings = {}, within }: { settings?: Record<string, string>; within?: string } = {}
): Promise<TestCluster> {
  const files = await createCluster(within)
  t.teardown(async () => await removeCluster(files))
  let pid = await startClusterServer(files, settings)
  return {
    connection: superuser(files),
    files,
    stop: async mode => await stopClusterServer(files, mode),
    kill: () => {
      process.kill(pid, 'SIGKILL')
    },
    start: async () => {
      pid = await startClusterServer(files, settings)
    }
  }
}

/** The connection as a URL. */
export function urlOf({ host, port, user, password, database }: Connection): string {
  return `postgres://${encodeURIComponent(user)}:${encodeURIComponent(password ?? '')}@${encodeURIComponent(host)}:${port}/${encodeURIComponent(database)}`
}

async function dropAll(sql: postgres.Sql, name: string): Promise<void> {
  const databases = await sql<Array<{ datname: string }>>`
    SELECT datname FROM pg_database
    WHERE starts_with(datname, ${name}) OR datdba IN (SELECT oid FROM pg_roles WHERE starts_with(rolname, ${name}))`
  for (const { datname } of databases)
    await sql.unsafe(`DROP DATABASE IF EXISTS ${quoteIdentifier(datname)} WITH (FORCE)`)
  // Roles that the test's role made (loaders) are dropped too: they are its members, or bear its name.
  const roles = await sql<Array<{ rolname: string }>>`
    SELECT rolname FROM pg_roles WHERE starts_with(rolname, ${name}) ORDER BY length(rolname) DESC`
  for (const { rolname } of roles) await sql.unsafe(`DROP ROLE IF EXISTS ${quoteIdentifier(rolname)}`)
}
