import type { Operation } from '../jobs/operation.js'
import { expireOldCheckpoints, releaseEarlierCheckpoints } from './checkpoints.js'
import { create } from './create.js'
import { deleteBackup } from './delete.js'
import { importArchive } from './import.js'
import { recover } from './recover.js'
import { restore } from './restore.js'
import { undo } from './undo.js'

/** Everything that a job can be. */
export const operations = [
  create,
  importArchive,
  restore,
  undo,
  deleteBackup,
  releaseEarlierCheckpoints,
  expireOldCheckpoints,
  recover
] as unknown as readonly Operation[]
