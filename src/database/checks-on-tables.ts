import type { Sql } from 'postgres'

interface Check {
  object: string
  tables: string
  isView: boolean
}

/**
 * A warning for each CHECK and generated column whose function names a table that a load fills later, or in the case of
 * one organization perhaps not at all: pg_dump fills tables by schema and name, and expects of a CHECK that it looks at
 * its row alone (manual, "Check Constraints"). So it is with a materialized view whose function names another one:
 * pg_dump fills them by name too, unless their queries show another order (buildMatViewRefreshDependencies in
 * pg_dump.c), and none can be read before that. Functions hold their text as a string, so their names in it are all
 * there is to go by.
 */
export async function rowDependentChecks(sql: Sql, scope: 'instance' | 'organization'): Promise<string[]> {
  const found = await sql.unsafe<Check[]>(String.raw`
    WITH RECURSIVE own AS (SELECT oid, nspname FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'dumbassets_backup')),
    functions AS (
      SELECT p.oid, lower(p.prosrc) AS text, lower(p.proname) AS name FROM pg_catalog.pg_proc p
      WHERE p.pronamespace IN (SELECT oid FROM own) AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
        WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')),
    views AS (
      SELECT c.oid AS view, c.oid AS relation FROM pg_catalog.pg_class c WHERE c.relkind = 'm' AND c.relispopulated AND ${scope === 'instance'}
      UNION SELECT v.view, c.oid FROM views v JOIN pg_catalog.pg_rewrite w ON w.ev_class = v.relation
        JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass
        JOIN pg_catalog.pg_class c ON c.oid = d.refobjid AND c.relkind = 'v'),
    uses AS (
      SELECT 'the CHECK ' || quote_ident(k.conname) || ' of ' || k.conrelid::regclass AS object, k.conrelid AS relation, d.refobjid AS function
      FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_constraint'::regclass AND d.objid = k.oid
      WHERE k.contype = 'c' AND k.conrelid <> 0 AND k.convalidated AND d.refclassid = 'pg_catalog.pg_proc'::regclass
      UNION SELECT 'the CHECK ' || quote_ident(k.conname) || ' of the domain of ' || a.attrelid::regclass || '.' || quote_ident(a.attname), a.attrelid, d.refobjid
      FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_constraint'::regclass AND d.objid = k.oid
        JOIN pg_catalog.pg_attribute a ON a.atttypid = k.contypid AND NOT a.attisdropped JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p')
      WHERE k.contype = 'c' AND k.contypid <> 0 AND d.refclassid = 'pg_catalog.pg_proc'::regclass
      UNION SELECT 'the generated column ' || f.adrelid::regclass || '.' || quote_ident(a.attname), f.adrelid, d.refobjid
      FROM pg_catalog.pg_attrdef f JOIN pg_catalog.pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum AND a.attgenerated <> ''
        JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.objid = f.oid
      WHERE d.refclassid = 'pg_catalog.pg_proc'::regclass
      UNION SELECT 'the materialized view ' || v.view::regclass, v.view, d.refobjid
      FROM views v JOIN pg_catalog.pg_rewrite w ON w.ev_class = v.relation
        JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = w.oid
      WHERE d.refclassid = 'pg_catalog.pg_proc'::regclass),
    calls AS (
      SELECT u.object, u.relation, f.oid, f.text FROM uses u JOIN functions f ON f.oid = u.function
      UNION SELECT c.object, c.relation, f.oid, f.text FROM calls c JOIN functions f ON f.oid <> c.oid AND ${holds('c.text', 'f.name', '', String.raw`\s*\(`)}),
    relations AS (SELECT c.oid, n.nspname, c.relname, c.relkind, c.relispopulated, lower(c.relname) AS name FROM pg_catalog.pg_class c JOIN own n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'm'))
    SELECT c.object, string_agg(DISTINCT r.oid::regclass::text, ', ') AS tables, checked.relkind = 'm' AS "isView"
    FROM calls c JOIN relations r ON (${holds('c.text', 'r.name', reads, '')}
        OR EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = c.oid
          AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = r.oid))
      JOIN relations checked ON checked.oid = c.relation
    WHERE (checked.relkind <> 'm' OR r.relkind = 'm' AND r.oid <> checked.oid) AND (${scope === 'organization'} OR checked.relkind = 'm' AND NOT r.relispopulated
      OR (r.nspname COLLATE "C", r.relname COLLATE "C") >= (checked.nspname COLLATE "C", checked.relname COLLATE "C"))
    GROUP BY c.object, checked.relkind ORDER BY c.object`)
  return found.map(({ object, tables, isView }) =>
    isView
      ? `A restore can fail at the rows of ${object}: its function names ${tables}, which may not be filled yet when it is called. For the operator: let the query of the materialized view itself read what its function does, or give it a name that sorts behind, then make another backup.`
      : `A restore can fail at ${object}: its function names ${tables}, whose rows may not be there yet when it is called. For the operator: check other tables in a trigger, or make the CHECK NOT VALID, then make another backup.`
  )
}

/** What comes before a table that is read, with or without its schema. */
const reads = String.raw`\m(from|join|only|table)\s+(only\s+)?("?[[:alnum:]_$]+"?\.)?"?`

/** Whether a text holds the name as a word of its own, between two patterns. */
function holds(text: string, name: string, before: string, after: string): string {
  return String.raw`position(${name} in ${text}) > 0 AND ${text} ~ ('${before}\m' || regexp_replace(${name}, '([^[:alnum:]_])', '\\\1', 'g') || '\M${after}')`
}
