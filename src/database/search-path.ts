import type { Sql } from 'postgres'
import type { HeadLine } from '../io/pipe.js'
import { plainHead } from './connection/session-settings.js'
import { quoteIdentifier, quoteLiteral } from './identifiers.js'

export interface LoadPath {
  /** A value of search_path, with quoted names; empty where only PostgreSQL's own names are found. */
  path: string
  warnings: string[]
}

/**
 * The search_path that a dump is loaded with: the one that the application's objects were made under, so that the
 * functions of generated columns, CHECKs, indexes and materialized views find what they name. PostgreSQL looks into
 * pg_catalog first (manual, "The System Catalog Schema"), yet a function for exactly these types wins over one for any
 * type (manual, "Function Type Resolution"). Where that would change what a definition means, the path stays empty.
 * @param sql a session of the application's user, with the search_path that role and database give it
 */
export async function readLoadPath(sql: Sql): Promise<LoadPath> {
  const [{ schemas, current }] = await sql<[{ schemas: string[]; current: string }]>`
    SELECT pg_catalog.current_schemas(false)::text[] AS schemas, pg_catalog.current_setting('search_path') AS current`
  const own = schemas.filter(schema => !schema.startsWith('pg_'))
  const path = own.map(quoteIdentifier).join(', ')
  const found = { path, warnings: [] }
  if (own.length === 0 || !(await canTakeNames(sql, own))) return found
  const qualified = await qualifiedNames(sql, path)
  const bare = await qualifiedNames(sql, '')
  await sql`SELECT pg_catalog.set_config('search_path', ${current}, false)`
  const taken = [...qualified]
    .filter(([object, names]) => names > (bare.get(object) ?? names))
    .map(([object]) => object)
  if (taken.length === 0) return found
  return {
    path: '',
    warnings: [
      `A restore loads the database without a search_path, and fails where a function that is called meanwhile needs one: with it, ${taken.join(', ')} would use a function or operator of the application in place of PostgreSQL's own. For the operator: rename that function or operator, or run ALTER FUNCTION ... SET search_path for the functions that generated columns, CHECKs, indexes and materialized views call.`
    ]
  }
}

/**
 * The line of a dump's head that empties the search_path, so that names are written in full except for PostgreSQL's
 * own, and what takes its place.
 */
export function loadPathLine(path: string): HeadLine {
  return { line: setPath(''), replacement: `${setPath(path)}\n${plainHead}` }
}

/** pg_dump's script, loaded with the path. */
export function withLoadPath(script: string, path: string): string {
  const { line, replacement } = loadPathLine(path)
  return script.replace(`\n${line}\n`, () => `\n${replacement}\n`)
}

/**
 * For a session of ours that reads or writes rows: planning a query can call functions of their indexes too. Quoted
 * names.
 */
export function usePath(path: string): string {
  return `SET search_path = ${path === '' ? "''" : path};`
}

/** As pg_dump writes it. */
function setPath(path: string): string {
  return `SELECT pg_catalog.set_config('search_path', ${asciiLiteral(path)}, false);`
}

/** A dump can be in any encoding. */
function asciiLiteral(text: string): string {
  if (/^[ -~]*$/.test(text)) return quoteLiteral(text)
  const escaped = [...text]
    .map(character =>
      /[ -~]/.test(character)
        ? character.replace('\\', '\\\\')
        : `\\+${character.codePointAt(0)!.toString(16).padStart(6, '0')}`
    )
    .join('')
  return `U&'${escaped.replaceAll("'", "''")}'`
}

/** Whether the schemas have a function or operator that shares its name with one of PostgreSQL's for any type. */
async function canTakeNames(sql: Sql, schemas: string[]): Promise<boolean> {
  const found = await sql`
    WITH own AS (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = ANY (${schemas})),
      anything AS (SELECT oid FROM pg_catalog.pg_type WHERE typtype = 'p')
    SELECT FROM pg_catalog.pg_proc taker JOIN pg_catalog.pg_proc taken ON taken.proname = taker.proname
    WHERE taker.pronamespace IN (SELECT oid FROM own) AND taken.pronamespace = 'pg_catalog'::pg_catalog.regnamespace
      AND (taken.provariadic <> 0 OR EXISTS (SELECT FROM unnest(taken.proargtypes) a WHERE a IN (SELECT oid FROM anything)))
    UNION ALL SELECT FROM pg_catalog.pg_operator taker JOIN pg_catalog.pg_operator taken ON taken.oprname = taker.oprname
    WHERE taker.oprnamespace IN (SELECT oid FROM own) AND taken.oprnamespace = 'pg_catalog'::pg_catalog.regnamespace
      AND (taken.oprleft IN (SELECT oid FROM anything) OR taken.oprright IN (SELECT oid FROM anything))
    LIMIT 1`
  return found.length > 0
}

/**
 * How many of PostgreSQL's own names are written in full in each definition, which it does where the bare name would
 * mean something else under the path.
 */
async function qualifiedNames(sql: Sql, path: string): Promise<Map<string, number>> {
  await sql`SELECT pg_catalog.set_config('search_path', ${path}, false)`
  const rows = await sql<Array<{ object: string; names: number }>>`
    WITH own AS (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'),
    relations AS (
      SELECT c.oid, c.relkind, pg_catalog.format('%I.%I', n.nspname, c.relname) AS name
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.oid IN (SELECT oid FROM own)),
    definitions AS (
      SELECT pg_catalog.format('the column %s.%I', r.name, a.attname) AS object, pg_catalog.pg_get_expr(d.adbin, d.adrelid) AS text
      FROM pg_catalog.pg_attrdef d JOIN relations r ON r.oid = d.adrelid JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
      UNION ALL SELECT pg_catalog.format('the constraint %I', k.conname) || coalesce(' of ' || r.name, ''), pg_catalog.pg_get_constraintdef(k.oid)
      FROM pg_catalog.pg_constraint k LEFT JOIN relations r ON r.oid = k.conrelid WHERE k.contype IN ('c', 'x') AND k.connamespace IN (SELECT oid FROM own)
      UNION ALL SELECT 'the index ' || r.name, pg_catalog.pg_get_indexdef(i.indexrelid)
      FROM pg_catalog.pg_index i JOIN relations r ON r.oid = i.indexrelid WHERE i.indexprs IS NOT NULL OR i.indpred IS NOT NULL
      UNION ALL SELECT CASE w.rulename WHEN '_RETURN' THEN 'the view ' ELSE pg_catalog.format('the rule %I on ', w.rulename) END || r.name, pg_catalog.pg_get_ruledef(w.oid)
      FROM pg_catalog.pg_rewrite w JOIN relations r ON r.oid = w.ev_class
      UNION ALL SELECT pg_catalog.format('the trigger %I on %s', t.tgname, r.name), pg_catalog.pg_get_triggerdef(t.oid)
      FROM pg_catalog.pg_trigger t JOIN relations r ON r.oid = t.tgrelid WHERE t.tgqual IS NOT NULL
      UNION ALL SELECT pg_catalog.format('the policy %I on %s', p.polname, r.name),
        pg_catalog.concat_ws(' ', pg_catalog.pg_get_expr(p.polqual, p.polrelid), pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))
      FROM pg_catalog.pg_policy p JOIN relations r ON r.oid = p.polrelid
      UNION ALL SELECT 'the partition key of ' || r.name, pg_catalog.pg_get_partkeydef(r.oid) FROM relations r WHERE r.relkind = 'p'
      UNION ALL SELECT pg_catalog.format('the statistics object %I', s.stxname), pg_catalog.pg_get_statisticsobjdef(s.oid)
      FROM pg_catalog.pg_statistic_ext s WHERE s.stxnamespace IN (SELECT oid FROM own)
      UNION ALL SELECT pg_catalog.format('the domain %I', t.typname), pg_catalog.pg_get_expr(t.typdefaultbin, 0)
      FROM pg_catalog.pg_type t WHERE t.typdefaultbin IS NOT NULL AND t.typnamespace IN (SELECT oid FROM own)
      UNION ALL SELECT pg_catalog.format('the function %I(%s)', p.proname, pg_catalog.oidvectortypes(p.proargtypes)),
        pg_catalog.concat_ws(' ', pg_catalog.pg_get_function_arguments(p.oid), pg_catalog.pg_get_function_sqlbody(p.oid))
      FROM pg_catalog.pg_proc p WHERE (p.pronargdefaults > 0 OR p.prosqlbody IS NOT NULL) AND p.pronamespace IN (SELECT oid FROM own))
    SELECT object, sum((pg_catalog.length(text) - pg_catalog.length(pg_catalog.replace(text, 'pg_catalog.', ''))) / 11)::int AS names
    FROM definitions WHERE text IS NOT NULL GROUP BY object ORDER BY object`
  return new Map(rows.map(({ object, names }) => [object, names]))
}
