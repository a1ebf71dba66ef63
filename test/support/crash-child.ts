import { createBackup } from '../../src/backup/create.js'
import { recoverRestores, releaseCheckpoints } from '../../src/restore/recover.js'
import { restoreBackup } from '../../src/restore/restore.js'
import { undoRestore } from '../../src/restore/undo.js'
import { installFaults, type Fault } from './fault-points.js'
import { testJob } from './job.js'
import { coreOf, organizationId, type Folders } from './restore-site.js'

export type Action =
  | { do: 'restore'; backupId: string; keep: boolean; dryRun?: boolean }
  | { do: 'undo'; restoreId: string }
  | { do: 'create' }
  | { do: 'release' }
  | { do: 'recover' }

export interface ChildTask {
  folders: Folders
  action: Action
  fault: Fault
}
export interface ChildAnswer {
  points: string[]
  restoreId?: string
  error?: { code?: string; reason?: string; message: string }
}

/** A service that does one thing, and something to itself on the way. */
const { folders, action, fault } = JSON.parse(process.argv[2] as string) as ChildTask
const core = coreOf(folders)
const points = await installFaults(fault)
const answer: ChildAnswer = { points }
try {
  const startedBy = 'tester'
  if (action.do === 'restore') {
    const { backupId, keep, dryRun = false } = action
    const result = await restoreBackup(
      core,
      { organizationId, backupId, validateChecksum: false, rollbackOnFailure: keep, dryRun, startedBy },
      testJob({ core })
    )
    answer.restoreId = result.restoreId
  } else if (action.do === 'undo') {
    await undoRestore(core, { organizationId, restoreId: action.restoreId, startedBy }, testJob({ core }))
  } else if (action.do === 'create') {
    await createBackup(
      core,
      { organizationId, type: 'database', createdBy: startedBy, createdByEmail: null },
      testJob()
    )
  } else if (action.do === 'release') {
    await releaseCheckpoints(core, organizationId, null)
  } else {
    await recoverRestores(core)
  }
} catch (error) {
  const { code, reason, message } = error as { code?: string; reason?: string; message: string }
  answer.error = { code, reason, message }
}
process.stdout.write(JSON.stringify(answer), () => {
  process.exit(0)
})
