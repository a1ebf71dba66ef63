import type { Sql } from 'postgres'
import { rowDependentChecks } from './checks-on-tables.js'
import { ownSchema } from './load/marker.js'
import { ways } from './load/remedies.js'

/** Objects of the users' own: not the system's, not an extension's. */
const own = (catalog: string): string => `o.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
  WHERE d.classid = 'pg_catalog.${catalog}'::regclass AND d.objid = o.oid AND d.deptype = 'e')`

interface Kind {
  /** Follows "A restore will". */
  what: (names: string) => string
  way: string
  /** What pg_dump calls them. */
  types: string[]
  /** Selects `name`. */
  query: string
  /** It does not come back, and the restore does not fail. */
  isLost?: boolean
  /** Not in a backup of one organization. */
  wholeOnly?: boolean
  /** Major versions of the server that the query is for. */
  from?: number
  before?: number
}

export interface Finding {
  types: string[]
  names: string[]
  text: string
}

const because = 'since only a superuser may create it and no backup is loaded as one'

/** An object of a type whose way is known. */
function ofType(type: string, article: string, query: string, more: Partial<Kind> = {}): Kind {
  return {
    what: names => `fail at the ${article} ${names}, ${because}`,
    way: ways[type] as string,
    types: [type],
    query,
    ...more
  }
}

/** Settings of functions; what the role that loads may not set it may not create a function with. */
const settings = (isForbidden: string): string => `
  SELECT DISTINCT o.oid::regprocedure || ' (' || s.name || ')' AS name
  FROM pg_catalog.pg_proc o CROSS JOIN LATERAL unnest(o.proconfig) AS c (setting) JOIN pg_catalog.pg_settings s ON s.name = split_part(c.setting, '=', 1)
  WHERE s.context LIKE 'superuser%' AND ${isForbidden} AND ${own('pg_proc')}`

const settingsKind = {
  what: (names: string) => `fail at the function ${names} with a setting that only a superuser may make`,
  way: 'take the setting from the function (ALTER FUNCTION ... RESET), or run GRANT SET ON PARAMETER ... TO PUBLIC',
  types: ['FUNCTION', 'PROCEDURE']
}

/** What the manual of each CREATE reserves for superusers. */
const kinds: Kind[] = [
  // Versions before 13 know no trusted ones.
  ofType(
    'EXTENSION',
    'extension',
    `SELECT quote_ident(e.extname) AS name FROM pg_catalog.pg_extension e
    JOIN pg_catalog.pg_available_extension_versions v ON v.name = e.extname
    GROUP BY e.extname HAVING NOT bool_or(coalesce((to_jsonb(v) ->> 'trusted')::boolean, false))`
  ),
  ofType(
    'EVENT TRIGGER',
    'event trigger',
    `SELECT quote_ident(o.evtname) AS name FROM pg_catalog.pg_event_trigger o WHERE ${own('pg_event_trigger')}`
  ),
  {
    what: names => `fail at the function ${names} in a language that is not trusted, ${because}`,
    way: 'write it in a trusted language such as plpgsql, or make an extension of it',
    types: ['FUNCTION', 'PROCEDURE'],
    query: `SELECT o.oid::regprocedure::text AS name FROM pg_catalog.pg_proc o JOIN pg_catalog.pg_language l ON l.oid = o.prolang
      JOIN pg_catalog.pg_namespace n ON n.oid = o.pronamespace WHERE NOT l.lanpltrusted AND o.prokind <> 'a' AND n.nspname !~ '^pg_' AND ${own('pg_proc')}
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend r WHERE r.classid = 'pg_catalog.pg_proc'::regclass AND r.objid = o.oid AND r.deptype = 'i')`
  },
  {
    what: names => `fail at the function ${names} that is marked LEAKPROOF, ${because}`,
    way: 'mark it NOT LEAKPROOF',
    types: ['FUNCTION', 'PROCEDURE'],
    query: `SELECT o.oid::regprocedure::text AS name FROM pg_catalog.pg_proc o JOIN pg_catalog.pg_language l ON l.oid = o.prolang
      WHERE o.proleakproof AND l.lanpltrusted AND ${own('pg_proc')}`
  },
  { ...settingsKind, query: settings('true'), before: 15 },
  { ...settingsKind, query: settings(`NOT pg_catalog.has_parameter_privilege('public', s.name, 'SET')`), from: 15 },
  ofType(
    'PUBLICATION',
    'publication',
    "SELECT quote_ident(o.pubname) || ' FOR ALL TABLES' AS name FROM pg_catalog.pg_publication o WHERE o.puballtables",
    { wholeOnly: true }
  ),
  ofType(
    'PUBLICATION TABLES IN SCHEMA',
    'publication',
    `SELECT quote_ident(o.pubname) || ' FOR TABLES IN SCHEMA ' || string_agg(quote_ident(s.nspname), ', ' ORDER BY s.nspname) AS name
    FROM pg_catalog.pg_publication o JOIN pg_catalog.pg_publication_namespace n ON n.pnpubid = o.oid JOIN pg_catalog.pg_namespace s ON s.oid = n.pnnspid
    GROUP BY o.pubname`,
    { wholeOnly: true, from: 15 }
  ),
  ofType(
    'OPERATOR CLASS',
    'operator class',
    `SELECT o.opcnamespace::regnamespace || '.' || quote_ident(o.opcname) AS name FROM pg_catalog.pg_opclass o WHERE ${own('pg_opclass')}`,
    { types: ['OPERATOR CLASS', 'OPERATOR FAMILY'] }
  ),
  // A class brings a family of its name along.
  ofType(
    'OPERATOR FAMILY',
    'operator family',
    `SELECT o.opfnamespace::regnamespace || '.' || quote_ident(o.opfname) AS name FROM pg_catalog.pg_opfamily o
    WHERE ${own('pg_opfamily')} AND NOT EXISTS (SELECT FROM pg_catalog.pg_opclass c WHERE c.opcfamily = o.oid)`
  ),
  ofType(
    'CAST',
    'cast',
    `SELECT '(' || format_type(o.castsource, NULL) || ' AS ' || format_type(o.casttarget, NULL) || ')' AS name FROM pg_catalog.pg_cast o
    WHERE ${own('pg_cast')} AND (o.castmethod = 'b' OR (o.castsource < 16384 AND o.casttarget < 16384))
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_cast'::regclass AND d.objid = o.oid AND d.deptype = 'i')`
  ),
  ofType(
    'PROCEDURAL LANGUAGE',
    'language',
    `SELECT quote_ident(o.lanname) AS name FROM pg_catalog.pg_language o WHERE ${own('pg_language')}`
  ),
  ofType(
    'ACCESS METHOD',
    'access method',
    `SELECT quote_ident(o.amname) AS name FROM pg_catalog.pg_am o WHERE ${own('pg_am')}`
  ),
  ofType(
    'FOREIGN DATA WRAPPER',
    'foreign-data wrapper',
    `SELECT quote_ident(o.fdwname) AS name FROM pg_catalog.pg_foreign_data_wrapper o WHERE ${own('pg_foreign_data_wrapper')}`
  ),
  ofType(
    'TEXT SEARCH PARSER',
    'text search parser',
    `SELECT quote_ident(o.prsname) AS name FROM pg_catalog.pg_ts_parser o WHERE ${own('pg_ts_parser')}`
  ),
  ofType(
    'TEXT SEARCH TEMPLATE',
    'text search template',
    `SELECT quote_ident(o.tmplname) AS name FROM pg_catalog.pg_ts_template o WHERE ${own('pg_ts_template')}`
  ),
  {
    what: names =>
      `fail at the table or index ${names}, since the role that loads a backup may not create anything in its tablespace`,
    way: 'run GRANT CREATE ON TABLESPACE ... TO PUBLIC, or move it to the default tablespace (SET TABLESPACE pg_default)',
    types: ['TABLE', 'INDEX', 'CONSTRAINT', 'MATERIALIZED VIEW'],
    query: `SELECT o.oid::regclass || ' (' || quote_ident(t.spcname) || ')' AS name FROM pg_catalog.pg_class o JOIN pg_catalog.pg_tablespace t ON t.oid = o.reltablespace
      WHERE ${own('pg_class')} AND o.relkind IN ('r', 'p', 'm', 'i', 'I') AND o.relnamespace::regnamespace::text !~ '^pg_' AND NOT pg_catalog.has_tablespace_privilege('public', t.oid, 'CREATE')`
  }
]

// The role that loads has no rights over PostgreSQL's own functions: their REVOKE and GRANT have no effect.
kinds.push({
  what: names => `leave out the changed privileges of ${names}, which belong to PostgreSQL itself`,
  way: 'grant and revoke them again',
  isLost: true,
  types: ['ACL'],
  query: `SELECT o.oid::regprocedure::text AS name FROM pg_catalog.pg_proc o
    LEFT JOIN pg_catalog.pg_init_privs i ON i.objoid = o.oid AND i.classoid = 'pg_catalog.pg_proc'::regclass AND i.objsubid = 0
    WHERE o.oid < 16384 AND o.proacl IS DISTINCT FROM i.initprivs`,
  wholeOnly: true
})

// pg_dump leaves them out without a word for a user who is none, and every user may read these two columns.
kinds.push({
  what: names => `not bring back the subscription ${names}, since only a superuser may read its connection`,
  way: 'create it again (CREATE SUBSCRIPTION)',
  isLost: true,
  types: ['SUBSCRIPTION'],
  query: `SELECT quote_ident(s.subname) AS name FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid
    WHERE d.datname = pg_catalog.current_database()`,
  wholeOnly: true
})

const inOwnSchema = `(SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname = '${ownSchema}')`

kinds.push({
  what: names => `not bring back ${names}, since the schema ${ownSchema} is the service's own and in no backup`,
  way: 'move it to another schema (ALTER ... SET SCHEMA)',
  types: [],
  query: `SELECT o.oid::regclass::text AS name FROM pg_catalog.pg_class o
    WHERE o.relnamespace = ${inOwnSchema} AND o.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c') AND o.relname <> 'committed_restores'
    UNION ALL SELECT o.oid::regprocedure::text FROM pg_catalog.pg_proc o WHERE o.pronamespace = ${inOwnSchema}
    UNION ALL SELECT o.oid::regtype::text FROM pg_catalog.pg_type o WHERE o.typnamespace = ${inOwnSchema} AND o.typtype IN ('d', 'e', 'r')`
})

/**
 * What another role owns stays when the user replaces everything inside the live database, where the dump brings it
 * again.
 */
const inPlaceKinds: Kind[] = [
  {
    what: names =>
      `fail at the publication ${names} of another role, as long as the database user may not create databases`,
    way: 'give the database user CREATEDB, or the publication (ALTER PUBLICATION ... OWNER TO)',
    types: ['PUBLICATION', 'PUBLICATION TABLE'],
    query: `SELECT quote_ident(o.pubname) AS name FROM pg_catalog.pg_publication o JOIN pg_catalog.pg_roles r ON r.oid = o.pubowner
    WHERE r.rolname <> current_user AND NOT o.puballtables`
  },
  {
    // Their dump commits by itself midway.
    what: names => `fail at the large objects (${names}), as long as the database user may not create databases`,
    way: 'give the database user CREATEDB (ALTER ROLE ... CREATEDB), or keep their contents in a table',
    types: ['BLOB'],
    query: 'SELECT count(*)::text AS name FROM pg_catalog.pg_largeobject_metadata HAVING count(*) > 0'
  },
  {
    // It has no owner that DROP OWNED could go by, and its type can't go before it.
    what: names => `fail at the cast or transform ${names}, as long as the database user may not create databases`,
    way: 'give the database user CREATEDB (ALTER ROLE ... CREATEDB), or drop it and make it again after a restore',
    types: ['CAST', 'TRANSFORM'],
    query: `SELECT '(' || format_type(o.castsource, NULL) || ' AS ' || format_type(o.casttarget, NULL) || ')' AS name FROM pg_catalog.pg_cast o
    WHERE ${own('pg_cast')} AND (o.castsource >= 16384 OR o.casttarget >= 16384) AND o.castmethod <> 'b'
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_cast'::regclass AND d.objid = o.oid AND d.deptype = 'i')
    UNION ALL SELECT 'FOR ' || format_type(o.trftype, NULL) || ' LANGUAGE ' || quote_ident(l.lanname) FROM pg_catalog.pg_transform o
    JOIN pg_catalog.pg_language l ON l.oid = o.trflang WHERE ${own('pg_transform')}`
  }
]

/**
 * What of the database a dump carries and no restore here can create, a sentence for each kind, in words that an owner
 * can hand to the operator.
 */
export async function superuserFindings(sql: Sql, scope: 'instance' | 'organization'): Promise<Finding[]> {
  const [user] = await sql<[{ createdb: boolean; major: number; path: string }]>`
    SELECT rolsuper OR rolcreatedb AS createdb, current_setting('server_version_num')::int / 10000 AS major, current_setting('search_path') AS path
    FROM pg_catalog.pg_roles WHERE rolname = current_user`
  // Names are written in full then.
  await sql`SELECT pg_catalog.set_config('search_path', '', false)`
  const asked = [
    ...kinds.filter(({ wholeOnly }) => scope === 'instance' || wholeOnly !== true),
    ...(scope === 'instance' && !user.createdb ? inPlaceKinds : [])
  ]
  const findings: Finding[] = []
  for (const { what, way, types, query, isLost = false, from = 0, before = Infinity } of asked) {
    if (user.major < from || user.major >= before) continue
    const names = (await sql.unsafe<Array<{ name: string }>>(`${query} ORDER BY 1`)).map(({ name }) => name)
    if (names.length > 0)
      findings.push({
        types,
        names,
        text: `A restore will ${what(names.join(', '))}. For the operator: ${way}${isLost ? ' after a restore' : ', then make another backup'}.`
      })
  }
  const checks = await rowDependentChecks(sql, scope)
  await sql`SELECT pg_catalog.set_config('search_path', ${user.path}, false)`
  return [...findings, ...checks.map(text => ({ types: [], names: [], text }))]
}

export async function superuserWarnings(sql: Sql, scope: 'instance' | 'organization'): Promise<string[]> {
  return (await superuserFindings(sql, scope)).map(({ text }) => text)
}
