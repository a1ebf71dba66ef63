import { Type, type Static, type TSchema, type TUnsafe } from '@sinclair/typebox'
import { TenancyReport } from '../../src/database/tenancy/tenant-graph.js'
import { Job } from '../../src/jobs/job.js'
import {
  CodeChange,
  FolderReport,
  RestoreReport,
  RestoreResult,
  RestoreSummary,
  TableReport
} from '../../src/restore/report.js'
import { BackupAnswer } from '../../src/repository/view.js'
import { DeleteResult, Deletion } from './deleted.js'
import { ErrorCode, ErrorResponse, JobError } from './error.js'
import { examples } from './examples.js'

/** A reference to a shared schema by its name, typed as the schema itself. */
export function ref<T extends TSchema>(schema: T): TUnsafe<Static<T>> {
  return Type.Unsafe<Static<T>>({ $ref: `${schema.$id}#` })
}

/** A list of a shared schema. */
export function listOf<T extends TSchema>(schema: T, description: string) {
  return Type.Array(ref(schema), { description })
}

/** Every schema that the API document names, each once: where one is part of another, it is referred to. */
export const sharedSchemas: object[] = [
  BackupAnswer,
  Job,
  TableReport,
  CodeChange,
  FolderReport,
  RestoreReport,
  RestoreResult,
  RestoreSummary,
  TenancyReport,
  DeleteResult,
  Deletion,
  ErrorCode,
  ErrorResponse,
  JobError
].map(schema => ({
  ...Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, referToNamed(value)])),
  ...(examples[schema.$id ?? ''] === undefined ? {} : { examples: [examples[schema.$id ?? '']] })
}))

function referToNamed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(referToNamed)
  if (typeof value !== 'object' || value === null) return value
  if ('$id' in value) return { $ref: `${String(value.$id)}#` }
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, referToNamed(part)]))
}
