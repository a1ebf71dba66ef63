import type { DumpEntry } from './dump-pieces.js'

const asExtension = 'remove it, or make a trusted extension of it'

/**
 * What helps against an entry that no ordinary role can load, by the type that pg_dump gives it. Imperative, for the
 * operator.
 */
export const ways: Readonly<Record<string, string>> = {
  'ACCESS METHOD': asExtension,
  CAST: "write it WITH FUNCTION or WITH INOUT, between types of which one is the application's own",
  'EVENT TRIGGER': 'remove it (DROP EVENT TRIGGER), or make an extension of it',
  EXTENSION:
    'remove it (DROP EXTENSION) if no table needs it, or set trusted = true in its control file on the database server',
  'FOREIGN DATA WRAPPER': asExtension,
  'OPERATOR CLASS': asExtension,
  'OPERATOR FAMILY': asExtension,
  'PROCEDURAL LANGUAGE': 'install it as an extension that is trusted',
  PUBLICATION: 'publish the tables by name',
  'PUBLICATION TABLES IN SCHEMA': 'publish the tables by name',
  'TEXT SEARCH PARSER': asExtension,
  'TEXT SEARCH TEMPLATE': asExtension
}

/** By what PostgreSQL says of it. The first that fits. */
const byMessage: ReadonlyArray<[RegExp, string]> = [
  [
    /permission denied to set parameter/,
    'take the setting from the function (ALTER FUNCTION ... RESET), or run GRANT SET ON PARAMETER ... TO PUBLIC'
  ],
  [
    /permission denied for tablespace/,
    'run GRANT CREATE ON TABLESPACE ... TO PUBLIC, or move it to the default tablespace (SET TABLESPACE pg_default)'
  ],
  [/permission denied for language/, 'write it in a trusted language such as plpgsql, or make an extension of it'],
  [/create a base type|cannot be internal/, asExtension],
  [/leakproof/, 'mark it NOT LEAKPROOF'],
  [/violates check constraint/, 'let the CHECK look at its row alone, and check other tables in a trigger'],
  [
    /does not exist/,
    'write the schema of the object that is missing, or give the functions that name it a search_path (ALTER FUNCTION ... SET search_path)'
  ],
  [/permission denied|must be (?:owner|superuser|member)/, 'remove it, or let an ordinary role make it']
]

/** @returns an imperative sentence without its full stop */
export function wayFor(entry: DumpEntry, message: string): string {
  const byText = byMessage.find(([pattern]) => pattern.test(message))?.[1]
  return ways[entry.type] ?? byText ?? 'change its definition so that it can be made anew'
}
