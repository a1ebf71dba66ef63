import type { Metadata } from '../archive/metadata.js'
import type { DatabaseDetails } from '../database/database-details.js'
import type { StayingObjects } from '../database/load/staying-objects.js'
import { alterOwner } from '../database/owners.js'
import type { ServerFacts } from '../database/server-facts.js'
import type { Problem } from '../errors.js'

/** Locks that replacing a table with its indexes, keys and sequences takes, measured on an ordinary schema. */
export const locksPerTable = 20

const way =
  'or let the database user create databases (ALTER ROLE ... CREATEDB), so that the restore works beside the live one'

/** What only a restore inside the live database can't do, one sentence each, with what to do. */
export function inPlaceShortfalls(
  { database, tables }: Metadata,
  server: ServerFacts,
  staying: StayingObjects | null
): Problem[] {
  const shortfalls: Problem[] = []
  if (server.live?.ownedByUs === false)
    shortfalls.push({
      reason: 'database-of-another-role',
      message: `The database belongs to ${server.live.owner}, so the database user can't make again what it replaces: make it a member of that role, ${way}.`
    })
  if (server.live === null)
    shortfalls.push({
      reason: 'no-live-database',
      message: 'The live database is not there, and the database user may not create one.'
    })
  if ((database as DatabaseDetails).largeObjects > 0) {
    shortfalls.push({
      reason: 'large-objects-in-place',
      message: `The backup holds large objects, whose dump commits by itself midway: ${way.slice(3)}.`
    })
  }
  if (tables.length * locksPerTable > server.lockSlots) {
    shortfalls.push({
      reason: 'too-few-locks',
      message: `${tables.length} tables need about ${tables.length * locksPerTable} locks in one transaction, and the server has ${server.lockSlots}: raise max_locks_per_transaction, ${way}.`
    })
  }
  if (staying !== null) shortfalls.push(...inTheWay({ database, tables }, staying))
  return shortfalls
}

/** Objects of other roles that the dump makes again: those that the backup had from others, and tables of its names. */
function inTheWay({ database, tables }: Pick<Metadata, 'database' | 'tables'>, staying: StayingObjects): Problem[] {
  const archived = new Set((database as DatabaseDetails).owners.map(({ type, identity }) => `${type} ${identity}`))
  const namesOf = new Set(tables.map(({ schema, name }) => JSON.stringify([schema, name])))
  for (const { schema, name, identity } of staying.tables) {
    if (namesOf.has(JSON.stringify([schema, name]))) archived.add(`table ${identity}`)
  }
  return staying.objects
    .filter(({ type, identity }) => archived.has(`${type} ${identity}`))
    .map(object => ({
      reason: 'object-of-another-role',
      message: `The ${object.type} ${object.identity} belongs to the role ${object.owner} and stays, but the dump makes it again: run ${alterOwner(object, staying.user)}, or drop it, ${way}.`
    }))
}
