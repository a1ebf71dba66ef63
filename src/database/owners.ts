import { Type, type Static } from '@sinclair/typebox'
import type { Sql } from 'postgres'
import { quoteIdentifier } from './identifiers.js'

/** An object as pg_identify_object names it (its identity is quoted and complete), with the role that owns it. */
export const OwnedObject = Type.Object({
  type: Type.String(),
  identity: Type.String(),
  owner: Type.String({ maxLength: 63 })
})
export type OwnedObject = Static<typeof OwnedObject>

/** Catalogs of objects with an owner of their own, and what of them follows another object's owner. */
const catalogs = [
  [
    'pg_class',
    'relowner',
    `o.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c') AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend s
    WHERE s.classid = 'pg_catalog.pg_class'::regclass AND s.objid = o.oid AND o.relkind = 'S' AND s.deptype IN ('a', 'i')
      AND s.refclassid = 'pg_catalog.pg_class'::regclass)`
  ],
  // Those that a range type made for itself come and go with it, and are the bootstrap superuser's (PostgreSQL's
  // source, typecmds.c).
  [
    'pg_proc',
    'proowner',
    `NOT EXISTS (SELECT FROM pg_catalog.pg_depend i
    WHERE i.classid = 'pg_catalog.pg_proc'::regclass AND i.objid = o.oid AND i.deptype = 'i')`
  ],
  [
    'pg_type',
    'typowner',
    `o.typtype IN ('d', 'e', 'r', 'b') AND o.typelem = 0 AND NOT EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.typarray = o.oid)
    OR o.typtype IN ('d', 'e', 'r')`
  ],
  ['pg_namespace', 'nspowner', `o.nspname !~ '^pg_'`],
  ['pg_operator', 'oprowner', 'true'],
  ['pg_collation', 'collowner', 'true'],
  ['pg_conversion', 'conowner', 'true'],
  ['pg_ts_dict', 'dictowner', 'true'],
  ['pg_ts_config', 'cfgowner', 'true'],
  ['pg_statistic_ext', 'stxowner', 'true'],
  ['pg_largeobject_metadata', 'lomowner', 'true'],
  ['pg_foreign_server', 'srvowner', 'true'],
  ['pg_foreign_data_wrapper', 'fdwowner', 'true'],
  ['pg_publication', 'pubowner', 'true'],
  ['pg_opclass', 'opcowner', 'true'],
  ['pg_opfamily', 'opfowner', 'true'],
  ['pg_event_trigger', 'evtowner', 'true']
] as const

/** Every object of the users' (not the system's, not an extension's) that has an owner. */
export async function ownableObjects(sql: Sql): Promise<OwnedObject[]> {
  const firstUserOid = 16384
  const parts = catalogs.map(([catalog, owner, condition]) => {
    // Their metadata is in a catalog of its own, but as objects they belong to the one with their data.
    const objectClass = catalog === 'pg_largeobject_metadata' ? 'pg_largeobject' : catalog
    return `
    SELECT i.type, i.identity, r.rolname AS owner, o.${owner} AS owner_oid
    FROM pg_catalog.${catalog} o JOIN pg_catalog.pg_roles r ON r.oid = o.${owner}
    CROSS JOIN LATERAL pg_catalog.pg_identify_object('pg_catalog.${objectClass}'::regclass, o.oid, 0) i
    WHERE (o.oid >= ${firstUserOid}${catalog === 'pg_namespace' ? " OR o.nspname = 'public'" : ''}) AND (${condition})
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
        WHERE d.classid = 'pg_catalog.${objectClass}'::regclass AND d.objid = o.oid AND d.deptype = 'e')`
  })
  const rows = await sql.unsafe<OwnedObject[]>(
    `SELECT type, identity, owner FROM (${parts.join(' UNION ALL ')}) objects ORDER BY type, identity`
  )
  return rows.map(({ type, identity, owner }) => ({ type, identity, owner }))
}

/** The objects that another role than the database's owner owns. */
export async function listForeignOwners(sql: Sql): Promise<OwnedObject[]> {
  const [database] = await sql<[{ owner: string }]>`
    SELECT r.rolname AS owner FROM pg_catalog.pg_database d JOIN pg_catalog.pg_roles r ON r.oid = d.datdba
    WHERE d.datname = current_database()`
  return (await ownableObjects(sql)).filter(({ owner }) => owner !== database.owner)
}

/**
 * The statement that gives the object to a role. Its identity must be the database's own word, since it becomes SQL.
 */
export function alterOwner({ type, identity }: Pick<OwnedObject, 'type' | 'identity'>, role: string): string {
  const kind = type === 'statistics object' ? 'STATISTICS' : type.replaceAll('-', ' ').toUpperCase()
  return `ALTER ${kind} ${identity} OWNER TO ${quoteIdentifier(role)}`
}
