import type { Metadata } from '../archive/metadata.js'
import type { Core } from '../core.js'
import { listTables } from '../database/catalog-queries.js'
import { databaseError, trustedPath, withSql } from '../database/connection/connection.js'
import type { ServerFacts } from '../database/server-facts.js'
import { countOrganizations, refuseWithOthers } from '../database/tenancy/scope.js'
import { AppError } from '../errors.js'

/** How the database is restored: whole beside the live one, whole inside it, or one organization's rows into it. */
export type DatabaseMode = 'swap' | 'in-place' | 'merge'

/**
 * One organization's rows are merged, but into a database without tables they go as a whole. The whole of a database
 * replaces every organization's rows, so it is refused where there are others.
 */
export async function chooseMode(
  { database, settings }: Core,
  organizationId: string,
  metadata: Metadata,
  server: ServerFacts
): Promise<DatabaseMode> {
  const whole = server.canCreateDatabase ? 'swap' : 'in-place'
  if (server.live === null) return whole
  // A database that can't even be opened can still be exchanged, where the other organizations in it are not asked for.
  if (metadata.databaseScope === 'instance' && settings.databaseScope === 'instance') return whole
  const isPart = metadata.databaseScope === 'organization'
  try {
    return await withSql(database.connection(), { searchPath: trustedPath }, async sql => {
      if (isPart && (await listTables(sql)).length === 0) return whole
      const found = await countOrganizations(sql, settings.tenantTable, organizationId)
      if (isPart) return 'merge'
      refuseWithOthers(found, 'this backup would replace the rows of all of them')
      return whole
    })
  } catch (error) {
    if (error instanceof AppError) throw error
    const { code, message, remedy } = databaseError(error)
    throw new AppError(
      code,
      'live-database-unreadable',
      `The live database can't be asked whose rows it holds. ${message}`,
      {
        remedy: isPart
          ? remedy
          : `${remedy} If it is broken, have the operator set DATABASE_SCOPE=instance: then it is replaced whatever it holds.`,
        cause: error
      }
    )
  }
}

/**
 * Just before the whole database is exchanged: other organizations may have come since it was looked at.
 * @throws AppError OTHER_ORGANIZATIONS_AFFECTED, TENANCY_UNSUPPORTED
 */
export async function requireNoOthers({ database, settings }: Core, organizationId: string): Promise<void> {
  if (settings.databaseScope === 'instance') return
  try {
    await withSql(database.connection(), { searchPath: trustedPath }, async sql => {
      refuseWithOthers(
        await countOrganizations(sql, settings.tenantTable, organizationId),
        'this would replace the rows of all of them'
      )
    })
  } catch (error) {
    throw databaseError(error)
  }
}
