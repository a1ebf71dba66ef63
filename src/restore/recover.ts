// STUB
import type { Core } from '../core.js'
export async function recoverRestores (_core: Core): Promise<void> {}
export async function expireCheckpoints (_core: Core): Promise<void> {}
