// STUB
import type { Core } from '../core.js'
import type { JobContext } from '../jobs/progress.js'
import type { RestoreResult } from './report.js'
export async function restoreBackup (_core: Core, _: { organizationId: string, backupId: string, validateChecksum: boolean, rollbackOnFailure: boolean, dryRun: boolean, startedBy: string }, _job: JobContext): Promise<RestoreResult> { throw new Error('stub') }
