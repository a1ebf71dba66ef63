import type { Metadata } from '../archive/metadata.js'
import type { Attachments } from '../database/attachments.js'
import { quoteLiteral } from '../database/identifiers.js'
import type { StayingObjects } from '../database/load/staying-objects.js'
import type { ServerFacts } from '../database/server-facts.js'
import type { Problem } from '../errors.js'
import { inPlaceShortfalls, locksPerTable } from './in-place-shortfalls.js'
import type { DatabaseMode } from './database-mode.js'

/** The role that owned the database where the backup was made; its objects go to the owner of this one. */
export function createdWithUs(metadata: Metadata): string | undefined {
  return metadata.database?.owner
}

/**
 * Whether a dump is loaded beside the live database in one transaction: where that saves PostgreSQL from logging it,
 * and with room to spare for the locks of others. Large objects take locks that are not counted.
 */
export function fitsOneTransaction({ database, tables }: Metadata, server: ServerFacts): boolean {
  return server.skipsWal && database?.largeObjects === 0 && tables.length * locksPerTable * 4 <= server.lockSlots
}

/**
 * What the server lacks for the archive's database, one sentence each, with what to do.
 * @param staying what a restore inside the live database leaves there; null when it is exchanged or merged into
 */
export function databaseShortfalls(
  metadata: Metadata,
  mode: DatabaseMode,
  server: ServerFacts,
  missingRoles: string[],
  missingExtensions: string[],
  staying: StayingObjects | null
): Problem[] {
  const shortfalls: Problem[] = []
  const dumpMajor = Number.parseInt(metadata.pgDumpVersion ?? '0', 10)
  const madeOn = Number.parseInt(metadata.postgresVersion ?? '0', 10)
  if (mode === 'in-place') shortfalls.push(...inPlaceShortfalls(metadata, server, staying))
  if (mode === 'merge' && !server.canCreateDatabase)
    shortfalls.push({
      reason: 'create-database-right-missing',
      message:
        'The database user may not create databases, and the dump is loaded into one of its own first: run ALTER ROLE … CREATEDB as a superuser.'
    })
  if (mode === 'swap' && server.live?.ownedByUs === false)
    shortfalls.push({
      reason: 'database-of-another-role',
      message: `The database belongs to ${server.live.owner}, so its name can't be given to another: make the database user a member of that role.`
    })
  if (madeOn > server.major)
    shortfalls.push({
      reason: 'server-older-than-backup',
      message: `The backup was made on PostgreSQL ${madeOn} (pg_dump ${dumpMajor}), and this server is PostgreSQL ${server.major}: restore it on ${madeOn} or newer.`
    })
  for (const role of missingRoles)
    shortfalls.push({ reason: 'role-missing', message: `The role "${role}" is missing: create it with CREATE ROLE.` })
  for (const name of missingExtensions)
    shortfalls.push({
      reason: 'extension-missing',
      message: `The extension "${name}" is not installed on the database server.`
    })
  for (const { name } of metadata.extensions) {
    const available = server.extensions.get(name)
    if (available?.trusted === false && staying?.extensions.has(name) !== true)
      shortfalls.push({
        reason: 'extension-needs-superuser',
        message: `The extension "${name}" can only be created by a superuser, which a backup must not be loaded as.`
      })
  }
  return shortfalls
}

/** What of the live database keeps it from being exchanged or emptied, one sentence each, with what to do. */
export function attachmentShortfalls(
  mode: DatabaseMode,
  { preparedTransactions, subscriptions }: Attachments
): Problem[] {
  if (mode === 'merge') return []
  const shortfalls: Problem[] = preparedTransactions.map(name => ({
    reason: 'prepared-transaction',
    message: `The prepared transaction ${quoteLiteral(name)} stays in the live database until it is ended: run COMMIT PREPARED or ROLLBACK PREPARED with its name.`
  }))
  if (mode === 'swap') {
    shortfalls.push(
      ...subscriptions.map(name => ({
        reason: 'subscription',
        message: `The subscription "${name}" writes into the live database, which could be neither exchanged nor dropped with it: drop it (ALTER SUBSCRIPTION … DISABLE, ALTER SUBSCRIPTION … SET (slot_name = NONE), DROP SUBSCRIPTION), and create it again after the restore.`
      }))
    )
  }
  return shortfalls
}

/** What of the live database is not with the restored one, one sentence each. */
export function attachmentWarnings(mode: DatabaseMode, { slots, subscriptions, isTemplate }: Attachments): string[] {
  if (mode === 'in-place') {
    return subscriptions.map(
      name =>
        `The subscription "${name}" forgets the tables that are made again: run ALTER SUBSCRIPTION ... REFRESH PUBLICATION after the restore.`
    )
  }
  if (mode === 'merge') return []
  return [
    ...slots.map(
      name =>
        `The logical replication slot "${name}" stays with the former database and is dropped with the checkpoint: nothing of the restored one comes through it. Create it anew after the restore, and have its readers copy everything again.`
    ),
    ...(isTemplate
      ? [
          'The live database is a template, and the restored one is none: run ALTER DATABASE … IS_TEMPLATE true after the restore.'
        ]
      : [])
  ]
}
