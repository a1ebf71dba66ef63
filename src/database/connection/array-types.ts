import { parse } from 'postgres-array'
import type { PostgresType } from 'postgres'

const asText = (text: string): string => text

/**
 * The built-in array types that our statements take and answer, by OID (PostgreSQL's src/include/catalog/pg_type.dat;
 * built-in OIDs never change), with how one element is read. The driver would ask the server for them, in a statement
 * of its own at the start of each connection whose error reaches no caller: a server that stops just then takes the
 * process down. A type that is not here arrives as PostgreSQL writes it.
 */
const elements: Record<number, (text: string) => unknown> = {
  1000: text => text === 't', // bool[]
  1005: Number, // smallint[]
  1007: Number, // integer[]
  1028: Number, // oid[]
  1016: asText, // bigint[]
  1002: asText, // "char"[]
  1003: asText, // name[]
  1009: asText, // text[]
  1015: asText // varchar[]
}

/** For the driver's `types`: each array type by its OID. */
export const arrayTypes: Record<string, PostgresType> = Object.fromEntries(
  Object.entries(elements).map(([oid, read]) => [
    `array${oid}`,
    { to: Number(oid), from: [Number(oid)], serialize: write, parse: (text: string) => parse(text, read) }
  ])
)

/** An array literal (PostgreSQL manual, "8.15.2. Array Value Input"). What is no array is given on as it is. */
function write(values: unknown): unknown {
  if (!Array.isArray(values)) return values
  return `{${values.map(value => (value === null ? 'NULL' : `"${String(value).replaceAll(/["\\]/g, '\\$&')}"`)).join(',')}}`
}
