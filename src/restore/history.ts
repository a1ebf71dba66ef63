// STUB
import type { Core } from '../core.js'
import type { RestoreSummary } from './report.js'
export async function listRestores (_core: Core, _organizationId: string): Promise<RestoreSummary[]> { return [] }
