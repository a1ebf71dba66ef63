// STUB
import type { Core } from '../core.js'
import type { JobContext } from '../jobs/progress.js'
import type { RestoreResult } from './report.js'
export async function undoRestore (_core: Core, _: { organizationId: string, restoreId: string, startedBy: string }, _job: JobContext): Promise<RestoreResult> { throw new Error('stub') }
