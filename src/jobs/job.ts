import { Type, type Static } from '@sinclair/typebox'

export const JobKind = Type.Union([
  Type.Literal('create'),
  Type.Literal('import'),
  Type.Literal('restore'),
  Type.Literal('undo'),
  Type.Literal('delete')
])
export type JobKind = Static<typeof JobKind>

export const JobState = Type.Union([
  Type.Literal('queued'),
  Type.Literal('running'),
  Type.Literal('succeeded'),
  Type.Literal('failed'),
  Type.Literal('cancelled')
])
export type JobState = Static<typeof JobState>

/** Whether it has yet to end. */
export function isActive({ state }: { state: JobState }): boolean {
  return state === 'queued' || state === 'running'
}

/** One running or finished piece of long work. `result` is what the operation itself would have answered. */
export const Job = Type.Object(
  {
    object: Type.Literal('job', { description: 'Tells it from the other things that are answered' }),
    id: Type.String({ format: 'uuid' }),
    kind: JobKind,
    organizationId: Type.String(),
    backupId: Type.Optional(Type.String({ format: 'uuid' })),
    startedBy: Type.String({ description: 'The user who asked for it' }),
    state: JobState,
    phase: Type.String({ description: 'What is being done now' }),
    bytesDone: Type.Integer({ minimum: 0 }),
    bytesTotal: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()], { description: 'null while it is not known' }),
    cancellable: Type.Boolean(),
    startedAt: Type.String({ format: 'date-time' }),
    finishedAt: Type.Optional(Type.String({ format: 'date-time' })),
    result: Type.Optional(Type.Unknown({ description: "The backup, or the restore's result" })),
    error: Type.Optional(
      Type.Object(
        {
          code: Type.String(),
          reason: Type.String(),
          message: Type.String(),
          remedy: Type.Optional(Type.String()),
          errors: Type.Optional(
            Type.Array(
              Type.Object(
                { field: Type.Optional(Type.String()), reason: Type.String(), message: Type.String() },
                { additionalProperties: false }
              ),
              {
                description: 'One item for each thing that is wrong, when there can be several'
              }
            )
          )
        },
        { additionalProperties: false }
      )
    )
  },
  { $id: 'Job', additionalProperties: false }
)
export type Job = Static<typeof Job>
