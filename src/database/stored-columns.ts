/**
 * SQL for a text such as `t.id, t.name`: the columns that a table stores, for ROW(…) of a row `t`. A virtual generated
 * column (PostgreSQL 18) says nothing that the others don't, and to compute it can fail.
 * @param relation SQL for the table's oid
 */
export function storedColumnList(relation: string): string {
  return `(SELECT coalesce(string_agg('t.' || quote_ident(a.attname), ', ' ORDER BY a.attnum), '') FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = ${relation} AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated <> 'v')`
}
