import { Type, type Static } from '@sinclair/typebox'

export const DeleteResult = Type.Object(
  {
    message: Type.Literal('Backup deleted successfully'),
    backupId: Type.String({ format: 'uuid' })
  },
  { $id: 'DeleteResult', additionalProperties: false }
)
export type DeleteResult = Static<typeof DeleteResult>

/** The same as the result of a job, where it stands beside other results. */
export const Deletion = Type.Object(
  {
    object: Type.Literal('deletion', { description: 'Tells it from the other things that are answered' }),
    ...DeleteResult.properties
  },
  { $id: 'Deletion', additionalProperties: false }
)
export type Deletion = Static<typeof Deletion>
