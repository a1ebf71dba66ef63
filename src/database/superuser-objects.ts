import type { Sql } from 'postgres'

/** Objects of the users' own: not the system's, not an extension's. */
const own = (catalog: string): string => `o.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
  WHERE d.classid = 'pg_catalog.${catalog}'::regclass AND d.objid = o.oid AND d.deptype = 'e')`

interface Kind {
  /** Follows "A restore will fail". */
  what: (names: string) => string
  way: string
  /** Selects `name`. */
  query: string
  /** Not in a backup of one organization. */
  wholeOnly?: boolean
}

const because = 'since only a superuser may create it and no backup is loaded as one'

/** What the manual of each CREATE reserves for superusers and applications do use. */
const kinds: Kind[] = [{
  what: names => `the extension ${names}, ${because}`,
  way: 'remove it (DROP EXTENSION) if no table needs it, or set trusted = true in its control file on the database server',
  // Versions before 13 know no trusted ones.
  query: `SELECT quote_ident(e.extname) AS name FROM pg_catalog.pg_extension e
    JOIN pg_catalog.pg_available_extension_versions v ON v.name = e.extname
    GROUP BY e.extname HAVING NOT bool_or(coalesce((to_jsonb(v) ->> 'trusted')::boolean, false))`
}, {
  what: names => `the event trigger ${names}, ${because}`,
  way: 'remove it (DROP EVENT TRIGGER), or make an extension of it',
  query: `SELECT quote_ident(o.evtname) AS name FROM pg_catalog.pg_event_trigger o WHERE ${own('pg_event_trigger')}`
}, {
  what: names => `the function ${names} in a language that is not trusted, ${because}`,
  way: 'write it in a trusted language such as plpgsql, or make an extension of it',
  query: `SELECT o.oid::regprocedure::text AS name FROM pg_catalog.pg_proc o JOIN pg_catalog.pg_language l ON l.oid = o.prolang
    JOIN pg_catalog.pg_namespace n ON n.oid = o.pronamespace WHERE NOT l.lanpltrusted AND o.prokind <> 'a' AND n.nspname !~ '^pg_' AND ${own('pg_proc')}
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend r WHERE r.classid = 'pg_catalog.pg_proc'::regclass AND r.objid = o.oid AND r.deptype = 'i')`
}, {
  what: names => `the function ${names} that is marked LEAKPROOF, ${because}`,
  way: 'mark it NOT LEAKPROOF',
  query: `SELECT o.oid::regprocedure::text AS name FROM pg_catalog.pg_proc o JOIN pg_catalog.pg_language l ON l.oid = o.prolang
    WHERE o.proleakproof AND l.lanpltrusted AND ${own('pg_proc')}`
}, {
  what: names => `the publication ${names} FOR ALL TABLES, ${because}`,
  way: 'publish the tables by name',
  query: `SELECT quote_ident(o.pubname) AS name FROM pg_catalog.pg_publication o WHERE o.puballtables`,
  wholeOnly: true
}]

/** What another role owns stays when the user replaces everything inside the live database, where the dump brings it again. */
const inPlaceKinds: Kind[] = [{
  what: names => `the publication ${names} of another role, as long as the database user may not create databases`,
  way: 'give the database user CREATEDB, or the publication (ALTER PUBLICATION ... OWNER TO)',
  query: `SELECT quote_ident(o.pubname) AS name FROM pg_catalog.pg_publication o JOIN pg_catalog.pg_roles r ON r.oid = o.pubowner
    WHERE r.rolname <> current_user AND NOT o.puballtables`
}]

/**
 * A warning for each kind of object in the database that a dump carries and no restore here can create, in words that an
 * owner can hand to the operator.
 */
export async function superuserWarnings (sql: Sql, scope: 'instance' | 'organization'): Promise<string[]> {
  const [user] = await sql<[{ createdb: boolean }]>`SELECT rolsuper OR rolcreatedb AS createdb FROM pg_catalog.pg_roles WHERE rolname = current_user`
  const asked = [...kinds.filter(({ wholeOnly }) => scope === 'instance' || wholeOnly !== true), ...(scope === 'instance' && !user.createdb ? inPlaceKinds : [])]
  const warnings: string[] = []
  for (const { what, way, query } of asked) {
    const names = (await sql.unsafe<Array<{ name: string }>>(`${query} ORDER BY 1`)).map(({ name }) => name)
    if (names.length > 0) warnings.push(`A restore will fail at ${what(names.join(', '))}. For the operator: ${way}, then make another backup.`)
  }
  return warnings
}
