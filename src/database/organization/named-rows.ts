import type postgres from 'postgres'
import { quoteIdentifier, quoteLiteral } from '../identifiers.js'
import type { MergeTable } from './drift.js'

export const namedAtMost = 5
const longestValue = 60

export interface NamedRows {
  count: number
  /** Such as `2 rows of public.users (id=7; id=8)`. */
  text: string
}

/** What tells a table's rows apart in a message: its key, and what the message is about. */
export function namingColumns({ key, columns }: MergeTable, others: readonly string[] = []): string[] {
  return [...new Set([...(key ?? []), ...others])].filter(column => columns.includes(column))
}

/**
 * Counts rows and names the first few, for a message. Only for rows that are the organization's own: what others have
 * in theirs is not its business. Of those, countedRows tells the number.
 * @param from with the rows under `alias`
 */
export async function nameRows(
  session: postgres.Sql,
  label: string,
  from: string,
  alias: string,
  columns: readonly string[]
): Promise<NamedRows> {
  const found = await session.unsafe<Array<{ total: string; name: string }>>(
    `SELECT count(*) OVER () AS total, ${rowName(alias, columns)} AS name ${from} ORDER BY name LIMIT ${namedAtMost + 1}`
  )
  const count = Number(found[0]?.total ?? 0)
  return {
    count,
    text: countedRows(count, label) + listNames(columns.length === 0 ? [] : found.map(({ name }) => name))
  }
}

export function countedRows(count: number, label: string): string {
  return `${count} ${count === 1 ? 'row' : 'rows'} of ${label}`
}

/** In parentheses, with a space before; nothing without names. */
export function listNames(names: readonly string[]): string {
  const some = [...new Set(names)]
  return some.length === 0
    ? ''
    : ` (${[...some.slice(0, namedAtMost), ...(some.length > namedAtMost ? ['...'] : [])].join('; ')})`
}

/** An expression such as `id=7, email=…`. */
export function rowName(alias: string, columns: readonly string[]): string {
  if (columns.length === 0) return quoteLiteral('')
  return columns
    .map(column => {
      const value = `${alias}.${quoteIdentifier(column)}::text`
      return `${quoteLiteral(`${column}=`)} || CASE WHEN length(${value}) > ${longestValue} THEN left(${value}, ${longestValue}) || '...' ELSE coalesce(${value}, 'NULL') END`
    })
    .join(" || ', ' || ")
}
