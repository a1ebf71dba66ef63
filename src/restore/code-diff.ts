import { readCode, type CodeObjects } from '../database/code-objects.js'
import { databaseError, trustedPath, withSql, type Connection } from '../database/connection/connection.js'
import type { CodeChange } from './report.js'

/** What exchanging two databases would change of what runs in them, in the order of the objects' names. */
export async function compareCode(
  connection: Connection,
  { live, restored }: { live: string; restored: string }
): Promise<CodeChange[]> {
  const [before, after] = await Promise.all([codeOf(connection, live), codeOf(connection, restored)])
  return diffCode(before, after)
}

export async function codeOf(connection: Connection, database: string): Promise<CodeObjects> {
  try {
    return await withSql(connection, { database, searchPath: trustedPath }, readCode)
  } catch (error) {
    throw databaseError(error)
  }
}

export function diffCode(before: CodeObjects, after: CodeObjects): CodeChange[] {
  const changes: CodeChange[] = []
  for (const [object, digest] of after) {
    if (!before.has(object)) changes.push({ object, change: 'added' })
    else if (before.get(object) !== digest) changes.push({ object, change: 'changed' })
  }
  for (const object of before.keys()) if (!after.has(object)) changes.push({ object, change: 'removed' })
  return changes.sort((a, b) => (a.object < b.object ? -1 : 1))
}
