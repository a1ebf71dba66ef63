import type { Sql } from 'postgres'

/** A digest of each object's definition, by the object's name. */
export type CodeObjects = ReadonlyMap<string, string>

/**
 * What runs or decides by itself in a database, each with a digest of its definition: functions, triggers, rules,
 * views, policies, default privileges. Those of extensions are the server's, and not the archive's.
 */
export const codeQuery = `
  WITH schemas AS (SELECT oid, nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'dumbassets_backup')),
  relations AS (SELECT c.oid, c.relkind, format('%I.%I', s.nspname, c.relname) AS name FROM pg_class c JOIN schemas s ON s.oid = c.relnamespace),
  extensions AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e')
  SELECT CASE p.prokind WHEN 'p' THEN 'procedure ' WHEN 'a' THEN 'aggregate ' ELSE 'function ' END
      || format('%I.%I(%s)', s.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS object,
    md5(CASE WHEN p.prokind = 'a' THEN p.prosrc ELSE pg_get_functiondef(p.oid) END) AS digest
  FROM pg_proc p JOIN schemas s ON s.oid = p.pronamespace
  WHERE (p.tableoid, p.oid) NOT IN (SELECT classid, objid FROM extensions)
  UNION ALL SELECT format('trigger %I on %s', t.tgname, r.name), md5(pg_get_triggerdef(t.oid) || t.tgenabled::text)
  FROM pg_trigger t JOIN relations r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal
  UNION ALL SELECT format('event trigger %I', evtname), md5(evtevent || evtfoid::regproc || evtenabled::text) FROM pg_event_trigger
  UNION ALL SELECT format('rule %I on %s', w.rulename, r.name), md5(pg_get_ruledef(w.oid) || w.ev_enabled::text)
  FROM pg_rewrite w JOIN relations r ON r.oid = w.ev_class WHERE w.rulename <> '_RETURN'
  UNION ALL SELECT format('view %s', r.name), md5(pg_get_viewdef(r.oid)) FROM relations r
  WHERE r.relkind IN ('v', 'm') AND ('pg_class'::regclass, r.oid) NOT IN (SELECT classid, objid FROM extensions)
  UNION ALL SELECT format('policy %I on %I.%I', policyname, schemaname, tablename), md5(ROW(permissive, roles, cmd, qual, with_check)::text) FROM pg_policies
  UNION ALL SELECT 'row security of ' || r.name, c.relforcerowsecurity::text FROM relations r JOIN pg_class c ON c.oid = r.oid WHERE c.relrowsecurity
  UNION ALL SELECT format('default privileges of %s for new objects of kind %s in %s', defaclrole::regrole, defaclobjtype,
      CASE defaclnamespace WHEN 0 THEN 'any schema' ELSE defaclnamespace::regnamespace::text END), md5(defaclacl::text)
  FROM pg_default_acl`

/**
 * The session's search_path has to be `trustedPath`, since definitions are written with the names that it makes
 * necessary.
 */
export async function readCode(sql: Sql): Promise<CodeObjects> {
  return new Map(
    (await sql.unsafe<Array<{ object: string; digest: string }>>(codeQuery)).map(({ object, digest }) => [
      object,
      digest
    ])
  )
}
