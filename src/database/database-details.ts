import { Type, type Static } from '@sinclair/typebox'
import type { Sql } from 'postgres'
import { databaseError } from './connection/connection.js'
import { applyDatabaseSettings, readDatabaseSettings } from './database-settings.js'
import { quoteIdentifier, quoteLiteral } from './identifiers.js'
import { alterOwner, listForeignOwners, ownableObjects, OwnedObject } from './owners.js'
import { Setting } from './value-settings.js'

const Name = Type.String({ maxLength: 63 })
const NameOrNull = Type.Union([Name, Type.Null()])

const Privilege = Type.Object({
  grantee: Type.Union([Name, Type.Null()], { description: 'null is PUBLIC' }),
  privilege: Type.String(),
  grantable: Type.Boolean()
})
type Privilege = Static<typeof Privilege>

const DefaultPrivilege = Type.Object({
  ...Privilege.properties,
  role: Name,
  schema: NameOrNull,
  objectType: Type.String({ description: 'As in pg_default_acl.defaclobjtype' })
})
type DefaultPrivilege = Static<typeof DefaultPrivilege>

/**
 * What belongs to a database but is not in a plain dump of it, so that metadata.json carries it. Names are unquoted.
 */
export const DatabaseDetails = Type.Object({
  owner: Name,
  encoding: Type.String(),
  collate: Type.String(),
  ctype: Type.String(),
  localeProvider: Type.String({ description: 'c (libc), i (ICU) or b (built-in), as in pg_database.datlocprovider' }),
  icuLocale: Type.Union([Type.String(), Type.Null()]),
  icuRules: Type.Optional(Type.String({ description: 'Rules that change the order of the ICU locale' })),
  comment: Type.Union([Type.String(), Type.Null()]),
  connectionLimit: Type.Integer(),
  settings: Type.Array(Type.Object({ role: NameOrNull, name: Type.String(), value: Type.String() }), {
    description: 'ALTER DATABASE ... SET and ALTER ROLE ... IN DATABASE ... SET'
  }),
  valueSettings: Type.Optional(
    Type.Array(Setting, {
      description:
        "What values are computed by, as the application's sessions had it; with it the dump is in the plain form of src/database/connection/session-settings.ts"
    })
  ),
  privileges: Type.Union([Type.Array(Privilege), Type.Null()], {
    description: 'The database ACL; null when it was never changed'
  }),
  owners: Type.Array(OwnedObject, { description: 'Objects that the database owner does not own' }),
  defaultPrivileges: Type.Array(DefaultPrivilege),
  largeObjects: Type.Integer({ minimum: 0 }),
  sizeBytes: Type.Integer({ minimum: 0, description: 'pg_database_size: a restore needs about as much' }),
  searchPath: Type.Optional(
    Type.String({
      description: 'The search_path that the dump sets, for the functions that a load calls; absent: none'
    })
  )
})
export type DatabaseDetails = Static<typeof DatabaseDetails>

/** Reads the details of the database that `sql` is connected to. */
export async function readDatabaseDetails(sql: Sql): Promise<DatabaseDetails> {
  // The column for an ICU or built-in locale is daticulocale from 15 on and datlocale from 17 on; 14 has neither.
  const [row] = await sql<[Record<string, string | number | null> & { oid: string }]>`
    SELECT d.oid, r.rolname AS owner, pg_catalog.pg_encoding_to_char(d.encoding) AS encoding, d.datcollate AS collate, d.datctype AS ctype,
      coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') AS provider,
      coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale') AS locale, to_jsonb(d) ->> 'daticurules' AS rules,
      pg_catalog.shobj_description(d.oid, 'pg_database') AS comment, d.datconnlimit AS "limit",
      d.datacl IS NULL AS "defaultAcl", pg_catalog.pg_database_size(d.oid)::text AS size,
      (SELECT count(*)::int FROM pg_catalog.pg_largeobject_metadata) AS objects
    FROM pg_catalog.pg_database d JOIN pg_catalog.pg_roles r ON r.oid = d.datdba WHERE d.datname = current_database()`
  const privileges = await sql<Privilege[]>`
    SELECT r.rolname AS grantee, a.privilege_type AS privilege, a.is_grantable AS grantable
    FROM pg_catalog.pg_database d CROSS JOIN LATERAL aclexplode(d.datacl) a
    LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
    WHERE d.oid = ${row.oid} AND a.grantee <> d.datdba AND (a.grantee = 0 OR r.oid IS NOT NULL) ORDER BY 1 NULLS FIRST, 2`
  const defaultPrivileges = await sql<DefaultPrivilege[]>`
    SELECT r.rolname AS role, n.nspname AS schema, d.defaclobjtype AS "objectType",
      g.rolname AS grantee, a.privilege_type AS privilege, a.is_grantable AS grantable
    FROM pg_catalog.pg_default_acl d JOIN pg_catalog.pg_roles r ON r.oid = d.defaclrole
    LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace
    CROSS JOIN LATERAL aclexplode(d.defaclacl) a LEFT JOIN pg_catalog.pg_roles g ON g.oid = a.grantee
    WHERE a.grantee = 0 OR g.oid IS NOT NULL ORDER BY 1, 2 NULLS FIRST, 3, 4 NULLS FIRST, 5`
  return {
    owner: row.owner as string,
    encoding: row.encoding as string,
    collate: row.collate as string,
    ctype: row.ctype as string,
    localeProvider: row.provider as string,
    icuLocale: row.locale as string | null,
    ...(row.rules === null ? {} : { icuRules: row.rules as string }),
    comment: row.comment as string | null,
    connectionLimit: row.limit as number,
    settings: await readDatabaseSettings(sql),
    privileges: (row.defaultAcl as unknown as boolean) ? null : privileges.map(plain),
    owners: await listForeignOwners(sql),
    defaultPrivileges: defaultPrivileges.map(plain),
    largeObjects: row.objects as number,
    sizeBytes: Number(row.size)
  }
}

const privilegeNames = new Set([
  'SELECT',
  'INSERT',
  'UPDATE',
  'DELETE',
  'TRUNCATE',
  'REFERENCES',
  'TRIGGER',
  'USAGE',
  'CREATE',
  'CONNECT',
  'TEMPORARY',
  'EXECUTE',
  'SET',
  'ALTER SYSTEM',
  'MAINTAIN'
])
const defaultAclObjects: Record<string, string> = {
  r: 'TABLES',
  S: 'SEQUENCES',
  f: 'FUNCTIONS',
  T: 'TYPES',
  n: 'SCHEMAS',
  L: 'LARGE OBJECTS'
}

/**
 * Puts the details back on the database `name`, to which `sql` is connected as (a member of) its owner. Names come from
 * an archive and are quoted; nothing of it is run as SQL text. What can't be put back is no reason to refuse a restore.
 * @returns a warning for each thing that could not be put back
 */
export async function applyDatabaseDetails(sql: Sql, name: string, details: DatabaseDetails): Promise<string[]> {
  const warnings: string[] = []
  const database = quoteIdentifier(name)
  const attempt = async (what: string, ...statements: string[]) => {
    try {
      await sql.begin(async transaction => {
        for (const statement of statements) await transaction.unsafe(statement)
      })
    } catch (error) {
      warnings.push(`Could not put back ${what}: ${databaseError(error).message}`)
    }
  }

  for (const { type, identity, owner } of await ownersToPutBack(sql, details.owners)) {
    await attempt(`the owner of the ${type} ${identity}`, alterOwner({ type, identity }, owner))
  }
  for (const statements of defaultPrivilegeStatements(details.defaultPrivileges)) {
    await attempt('default privileges', ...statements)
  }
  warnings.push(...(await applyDatabaseSettings(sql, name, details.settings)))
  if (details.comment !== null)
    await attempt('the database comment', `COMMENT ON DATABASE ${database} IS ${quoteLiteral(details.comment)}`)
  if (details.connectionLimit !== -1) {
    await attempt(
      'the connection limit',
      `ALTER DATABASE ${database} CONNECTION LIMIT ${Math.trunc(details.connectionLimit)}`
    )
  }
  await attempt('the database privileges', ...databaseGrants(database, details.privileges))
  return warnings
}

/** The scratch database was closed to PUBLIC while it was loaded, so the default has to be granted again. */
function databaseGrants(database: string, privileges: Privilege[] | null): string[] {
  const granted = privileges ?? [
    { grantee: null, privilege: 'CONNECT', grantable: false },
    { grantee: null, privilege: 'TEMPORARY', grantable: false }
  ]
  return [
    `REVOKE ALL ON DATABASE ${database} FROM PUBLIC`,
    ...granted
      .filter(isKnown)
      .map(
        ({ grantee, privilege, grantable }) =>
          `GRANT ${privilege} ON DATABASE ${database} TO ${roleName(grantee)}${grantable ? ' WITH GRANT OPTION' : ''}`
      )
  ]
}

/** A transaction's statements for each role, schema and kind of object. */
export function defaultPrivilegeStatements(privileges: DefaultPrivilege[]): string[][] {
  const groups = new Map<string, string[]>()
  for (const entry of privileges.filter(isKnown)) {
    const objects = defaultAclObjects[entry.objectType]
    if (objects === undefined) continue
    const target =
      `ALTER DEFAULT PRIVILEGES FOR ROLE ${quoteIdentifier(entry.role)}` +
      (entry.schema === null ? '' : ` IN SCHEMA ${quoteIdentifier(entry.schema)}`)
    const key = `${target} ${objects}`
    // Without a schema the list replaces the built-in default, so that has to go first; with one it adds to it.
    const statements =
      groups.get(key) ??
      (entry.schema === null
        ? [
            `${target} REVOKE ALL ON ${objects} FROM PUBLIC`,
            `${target} REVOKE ALL ON ${objects} FROM ${quoteIdentifier(entry.role)}`
          ]
        : [])
    statements.push(
      `${target} GRANT ${entry.privilege} ON ${objects} TO ${roleName(entry.grantee)}${entry.grantable ? ' WITH GRANT OPTION' : ''}`
    )
    groups.set(key, statements)
  }
  return [...groups.values()]
}

/** Matched by what the database itself says its objects are, so that no identity out of an archive becomes SQL. */
async function ownersToPutBack(sql: Sql, owners: readonly OwnedObject[]): Promise<OwnedObject[]> {
  if (owners.length === 0) return []
  const wanted = new Map(owners.map(({ type, identity, owner }) => [`${type} ${identity}`, owner]))
  return (await ownableObjects(sql)).flatMap(({ type, identity, owner }) => {
    const own = wanted.get(`${type} ${identity}`)
    return own === undefined || own === owner ? [] : [{ type, identity, owner: own }]
  })
}

function isKnown({ privilege }: Privilege): boolean {
  return privilegeNames.has(privilege)
}

function roleName(role: string | null): string {
  return role === null ? 'PUBLIC' : quoteIdentifier(role)
}

function plain<T extends object>(row: T): T {
  return { ...row }
}
