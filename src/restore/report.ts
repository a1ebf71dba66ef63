import { Type, type Static } from '@sinclair/typebox'
import { DatabaseScope } from '../archive/metadata.js'

const Count = Type.Integer({ minimum: 0 })

export const TableReport = Type.Object(
  {
    table: Type.String({ description: 'schema.name' }),
    rows: Type.Optional(Type.Integer({ minimum: 0, description: 'Rows after the restore' })),
    added: Type.Optional(Count),
    changed: Type.Optional(Count),
    removed: Type.Optional(Count),
    unchanged: Type.Optional(Count),
    comparedBy: Type.Optional(
      Type.Union([Type.Literal('key'), Type.Literal('content')], {
        description: 'content: the table has no key, so a changed row counts as one removed and one added'
      })
    ),
    note: Type.Optional(Type.String({ description: 'Such as: the table exists on one side only' }))
  },
  { $id: 'TableReport', additionalProperties: false }
)
export type TableReport = Static<typeof TableReport>

export const FolderReport = Type.Object(
  {
    folder: Type.String({ description: 'Below the organization\'s folder; "." is the folder itself' }),
    files: Type.Optional(Type.Integer({ minimum: 0, description: 'Files after the restore' })),
    added: Type.Optional(Count),
    changed: Type.Optional(Count),
    removed: Type.Optional(Count),
    unchanged: Type.Optional(Count),
    sample: Type.Optional(Type.Array(Type.String(), { description: 'Up to ten names, each with +, ~ or - before it' }))
  },
  { $id: 'FolderReport', additionalProperties: false }
)
export type FolderReport = Static<typeof FolderReport>

export const CodeChange = Type.Object(
  {
    object: Type.String({ description: 'Such as: trigger audit on public.assets' }),
    change: Type.Union([Type.Literal('added'), Type.Literal('changed'), Type.Literal('removed')])
  },
  { $id: 'CodeChange', additionalProperties: false }
)
export type CodeChange = Static<typeof CodeChange>

/** What a restore did, or would do. Present on every restore, rehearsed or real. */
export const RestoreReport = Type.Object(
  {
    database: Type.Union([
      Type.Null(),
      Type.Object(
        {
          mode: Type.Union([Type.Literal('swap'), Type.Literal('in-place'), Type.Literal('merge')]),
          scope: DatabaseScope,
          tables: Type.Array(TableReport),
          code: Type.Optional(
            Type.Array(CodeChange, {
              description:
                'Dry run of a whole database: functions, triggers, rules, views, policies and default privileges that would be others than now'
            })
          ),
          missingRoles: Type.Array(Type.String()),
          missingExtensions: Type.Array(Type.String())
        },
        { additionalProperties: false }
      )
    ]),
    files: Type.Union([
      Type.Null(),
      Type.Object(
        {
          folders: Type.Array(FolderReport)
        },
        { additionalProperties: false }
      )
    ]),
    disk: Type.Array(
      Type.Object(
        {
          place: Type.String(),
          neededBytes: Count,
          availableBytes: Count
        },
        { additionalProperties: false }
      )
    ),
    outageMs: Type.Optional(
      Type.Integer({ minimum: 0, description: 'How long clients could not use the database at the commit' })
    ),
    durationMs: Count,
    checkpointUntil: Type.Optional(
      Type.String({ format: 'date-time', description: 'Until when the restore can be undone' })
    ),
    warnings: Type.Array(Type.String())
  },
  { $id: 'RestoreReport', additionalProperties: false }
)
export type RestoreReport = Static<typeof RestoreReport>

export const RestoreResult = Type.Object(
  {
    object: Type.Literal('restore', { description: 'Tells it from the other things that are answered' }),
    message: Type.String(),
    backupId: Type.String({ format: 'uuid' }),
    restoreId: Type.String({ format: 'uuid' }),
    restoredAt: Type.String({ format: 'date-time' }),
    dryRun: Type.Boolean(),
    report: RestoreReport
  },
  { $id: 'RestoreResult', additionalProperties: false }
)
export type RestoreResult = Static<typeof RestoreResult>

export const RestoreState = Type.Union([
  Type.Literal('preparing'),
  Type.Literal('committing'),
  Type.Literal('done'),
  Type.Literal('rolling-back'),
  Type.Literal('rolled-back'),
  Type.Literal('undoing'),
  Type.Literal('undone'),
  Type.Literal('rehearsed')
])
export type RestoreState = Static<typeof RestoreState>

/** A restore as GET /api/backup/restores lists it. */
export const RestoreSummary = Type.Object(
  {
    restoreId: Type.String({ format: 'uuid' }),
    backupId: Type.String({ format: 'uuid' }),
    organizationId: Type.String(),
    startedBy: Type.String(),
    startedAt: Type.String({ format: 'date-time' }),
    state: RestoreState,
    dryRun: Type.Boolean(),
    undoable: Type.Boolean({ description: 'A checkpoint is there, so the restore can be undone' }),
    report: Type.Optional(RestoreReport),
    error: Type.Optional(Type.String())
  },
  { $id: 'RestoreSummary', additionalProperties: false }
)
export type RestoreSummary = Static<typeof RestoreSummary>
