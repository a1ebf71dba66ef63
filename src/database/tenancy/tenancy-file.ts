import { readFile } from 'node:fs/promises'
import { Type, type Static } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { AppError } from '../../errors.js'

const DeclaredTable = Type.Union([
  Type.Object(
    {
      owner: Type.String({
        minLength: 1,
        description:
          'The column that decides who owns a row: one with a foreign key into the tenant tables, or one that ' +
          "holds the organization's id. Rows of this table may then refer to other organizations' rows."
      })
    },
    { additionalProperties: false }
  ),
  Type.Object(
    {
      exclude: Type.Literal(true, { description: 'Never backed up, never changed by a restore' })
    },
    { additionalProperties: false }
  )
])

/** The operator's word on tables whose owner the foreign keys do not tell, or tell in two ways (TENANCY_FILE). */
export const Tenancy = Type.Object(
  {
    $schema: Type.Optional(Type.String({ description: 'For editors; ignored' })),
    tables: Type.Record(Type.String(), DeclaredTable, {
      description: "By schema.table, or by table alone where only one schema has it; unquoted, in the catalog's case"
    })
  },
  { $id: 'Tenancy', additionalProperties: false }
)
export type Tenancy = Static<typeof Tenancy>

/** Null without a file. @throws AppError CONFIG_INVALID when the file can't be read or is not what the schema says */
export async function readTenancyFile(path: string | null): Promise<Tenancy | null> {
  if (path === null) return null
  const content = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw invalid('tenancy-file-unreadable', "can't be read", cause)
  })
  return parseTenancy(content)
}

/** @throws AppError CONFIG_INVALID */
export function parseTenancy(content: string): Tenancy {
  let value: unknown
  try {
    value = JSON.parse(content)
  } catch (cause) {
    throw invalid('tenancy-file-invalid', 'is not JSON', cause)
  }
  if (Value.Check(Tenancy, value)) return value
  const first = Value.Errors(Tenancy, value).First()
  throw invalid('tenancy-file-invalid', `is not valid at "${first?.path || '/'}": ${first?.message ?? 'unknown'}`)
}

function invalid(reason: string, what: string, cause?: unknown): AppError {
  return new AppError('CONFIG_INVALID', reason, `TENANCY_FILE ${what}.`, {
    remedy: 'Write TENANCY_FILE as {"tables": {"schema.table": {"owner": "column"}}} or {"exclude": true} for a table.',
    cause
  })
}
