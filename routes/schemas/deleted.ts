import { Type, type Static } from '@sinclair/typebox'

export const DeleteResult = Type.Object({
  message: Type.Literal('Backup deleted successfully'),
  backupId: Type.String({ format: 'uuid' })
}, { $id: 'DeleteResult', additionalProperties: false })
export type DeleteResult = Static<typeof DeleteResult>
