import type { Sql } from 'postgres'
import { databaseError, withSql, type Connection } from './connection/connection.js'
import type { Problem } from '../errors.js'
import { quoteIdentifier } from './identifiers.js'
import { ownSchema } from './load/marker.js'
import { withMaintenance } from './maintenance.js'

/** What a session of the user finds that sets nothing itself. */
interface Finding {
  isStandby: boolean
  isReadOnly: boolean
  isReplica: boolean
  /** The schema for the restore's marker is there, and it or something in it is another role's. */
  isTheirs: boolean
  mayCreateSchema: boolean
}

/**
 * Why nothing is to be written, one sentence each, with what to do. Our own sessions could write where only a setting
 * is against it, but an administrator who has set a role or a database read-only means it.
 * @param inside the live database is written to itself; else beside it, where its own settings do not reach
 * @param byKeys its foreign keys have to check what is written, and our own sessions can't turn that on (as a
 * superuser's do)
 */
export async function writeObstacles(
  connection: Connection,
  { inside, byKeys = false }: { inside: boolean; byKeys?: boolean }
): Promise<Problem[]> {
  const user = quoteIdentifier(connection.user)
  const database = quoteIdentifier(connection.database)
  try {
    const beside = await withMaintenance(connection, find, 'application')
    if (beside.isStandby)
      return [
        {
          reason: 'hot-standby',
          message:
            'The database server is a hot standby, which takes no writes: let DATABASE_URL lead to the primary server, and restore there.'
        }
      ]
    if (beside.isReadOnly)
      return [
        {
          reason: 'user-read-only',
          message: `The database user ${user} is set read-only (default_transaction_read_only): run ALTER ROLE ${user} RESET default_transaction_read_only, or set it off in postgresql.conf.`
        }
      ]
    if (!inside) return []
    const live = await withSql(connection, { kind: 'application' }, find)
    return [
      ...(live.isReadOnly
        ? [
            {
              reason: 'database-read-only',
              message: `The database ${database} is set read-only (default_transaction_read_only), for all or for the database user: run ALTER DATABASE ${database} RESET default_transaction_read_only, and ALTER ROLE ${user} IN DATABASE ${database} RESET default_transaction_read_only.`
            }
          ]
        : []),
      ...(live.isReplica && byKeys
        ? [
            {
              reason: 'replication-role-replica',
              message:
                'The setting session_replication_role is replica for the database user, so PostgreSQL would check no foreign key: reset it for the role and the database.'
            }
          ]
        : []),
      ...(live.isTheirs
        ? [
            {
              reason: 'own-schema-of-another-role',
              message: `The schema ${ownSchema}, in which the service marks a restore as committed, belongs to another role, or a table in it does: drop it (DROP SCHEMA ${ownSchema} CASCADE).`
            }
          ]
        : []),
      ...(live.mayCreateSchema
        ? []
        : [
            {
              reason: 'create-schema-right-missing',
              message: `The database user may create no schema in the database, and the service marks a restore as committed in one: run GRANT CREATE ON DATABASE ${database} TO ${user}.`
            }
          ])
    ]
  } catch (error) {
    throw databaseError(error)
  }
}

async function find(sql: Sql): Promise<Finding> {
  const [found] = await sql<[Finding]>`
    SELECT pg_catalog.pg_is_in_recovery() AS "isStandby", current_setting('transaction_read_only')::boolean AS "isReadOnly",
      current_setting('session_replication_role') = 'replica' AS "isReplica",
      EXISTS (SELECT FROM pg_catalog.pg_namespace n WHERE n.nspname = ${ownSchema} AND (NOT pg_catalog.pg_has_role(n.nspowner, 'USAGE')
        OR EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid AND NOT pg_catalog.pg_has_role(c.relowner, 'USAGE')))) AS "isTheirs",
      pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') AS "mayCreateSchema"`
  return found
}
