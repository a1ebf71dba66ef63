/** A name of one or two parts, as the catalog has it: unquoted. */
export interface QualifiedName {
  schema: string
  name: string
}

/**
 * A name as an SQL identifier, whatever is in it. The only way to write one: postgres.js's `sql(name)` splits a name at
 * its dots, and psql's variables and format('%I') would be further ways. The linter keeps those out.
 */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** `"schema"."name"`, of a table or any other object that a schema holds. */
export function quoteTable({ schema, name }: QualifiedName): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`
}

/** A column list. */
export function quoteColumns(columns: readonly string[], alias?: string): string {
  return columns
    .map(column => (alias === undefined ? quoteIdentifier(column) : `${alias}.${quoteIdentifier(column)}`))
    .join(', ')
}

/** A text as an SQL literal, also where standard_conforming_strings is off. */
export function quoteLiteral(text: string): string {
  const quoted = `'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
  return text.includes('\\') ? `E${quoted}` : quoted
}

/**
 * schema.name, for people and as a key: a part with a dot in it, or a quote before it, is quoted, so that no two tables
 * have the same. TENANCY_FILE and TENANT_TABLE take it as well.
 */
export function labelOf({ schema, name }: QualifiedName): string {
  return [schema, name].map(part => (/^"|\./.test(part) ? quoteIdentifier(part) : part)).join('.')
}
