import { Type, type Static } from '@sinclair/typebox'
import { Backup } from './record.js'

/** A backup as the API answers it: its record, and what tells it from a job. */
export const BackupAnswer = Type.Object(
  {
    object: Type.Literal('backup', { description: 'Tells it from the other things that are answered' }),
    ...Backup.properties
  },
  { $id: 'Backup', additionalProperties: false }
)
export type BackupAnswer = Static<typeof BackupAnswer>

export function showBackup(backup: Backup): BackupAnswer {
  return { object: 'backup', ...backup }
}
