import type { Core } from '../core.js'
import { databaseError, trustedPath, withSql } from '../database/connection/connection.js'
import { requireDirect } from '../database/connection/direct.js'
import { superuserWarnings } from '../database/superuser-objects.js'
import { readTenancyFile } from '../database/tenancy/tenancy-file.js'
import { describeTenancy, readTenantGraph, type TenancyReport } from '../database/tenancy/tenant-graph.js'

/**
 * How a backup of one organization sees the tables, and what stands in its way. Reads the schema alone, no row.
 * @throws AppError DATABASE_UNAVAILABLE, DATABASE_ERROR, CONFIG_INVALID when TENANCY_FILE was damaged since the start
 */
export async function readTenancy({ database, settings }: Core): Promise<TenancyReport> {
  const { tenantTable, tenancyFile } = settings
  const tenancy = await readTenancyFile(tenancyFile)
  try {
    await requireDirect(database.connection())
    return await withSql(database.connection(), { searchPath: trustedPath }, async sql => {
      const report = describeTenancy(await readTenantGraph(sql, { tenantTable, tenancy }))
      return { ...report, notes: [...report.notes, ...(await superuserWarnings(sql, 'organization'))] }
    })
  } catch (error) {
    throw databaseError(error)
  }
}
