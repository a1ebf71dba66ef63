import { FormatRegistry, Type, type Static } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { DatabaseDetails } from '../database/database-details.js'
import { TableRows } from '../database/table-rows.js'
import { SchemaProof } from '../database/load/schema-proof.js'
import { AppError } from '../errors.js'
import { isOrganizationId, isUuid } from '../io/safe-path.js'
import { invalid } from './refusal.js'

export const formatVersion = 1

export const BackupType = Type.Union([Type.Literal('full'), Type.Literal('database'), Type.Literal('files')])
export type BackupType = Static<typeof BackupType>

export const DatabaseScope = Type.Union([Type.Literal('instance'), Type.Literal('organization')])
export type DatabaseScope = Static<typeof DatabaseScope>

export const Counts = Type.Object({
  tables: Type.Integer({ minimum: 0 }),
  rows: Type.Integer({ minimum: 0 }),
  files: Type.Integer({ minimum: 0 }),
  bytes: Type.Integer({ minimum: 0, description: 'Bytes of the uploaded files, before compression' })
})
export type Counts = Static<typeof Counts>

const FileOwner = Type.Object({
  uid: Type.Integer({ minimum: 0, maximum: 0xfffffffe }),
  gid: Type.Integer({ minimum: 0, maximum: 0xfffffffe })
})

/** metadata.json, format 1. FORMAT.md says what each field is for. Readers ignore fields they do not know. */
export const Metadata = Type.Object({
  formatVersion: Type.Literal(formatVersion),
  id: Type.String({ format: 'uuid' }),
  timestamp: Type.String({ format: 'date-time' }),
  createdBy: Type.String(),
  createdByEmail: Type.Union([Type.String(), Type.Null()]),
  organizationId: Type.String(),
  version: Type.String({ description: 'The release of dumbassets-backup that wrote it' }),
  type: BackupType,
  databaseType: Type.Union([Type.Literal('embedded'), Type.Literal('external')]),
  databaseScope: Type.Union([DatabaseScope, Type.Null()]),
  fileStorageType: Type.Union([Type.Literal('local'), Type.Literal('smb')]),
  includesDatabase: Type.Boolean(),
  includesFiles: Type.Boolean(),
  description: Type.Union([Type.String(), Type.Null()]),
  postgresVersion: Type.Union([Type.String(), Type.Null()]),
  pgDumpVersion: Type.Union([Type.String(), Type.Null()]),
  roles: Type.Array(Type.String(), { description: 'Roles that the dump and the details below name' }),
  extensions: Type.Array(Type.Object({ name: Type.String(), version: Type.String() })),
  schemaFingerprint: Type.Union([Type.String(), Type.Null()]),
  schemaProof: Type.Optional(SchemaProof),
  database: Type.Union([DatabaseDetails, Type.Null()]),
  tables: Type.Array(TableRows, { description: 'Rows of each table in the dump' }),
  counts: Counts,
  attributesDigest: Type.String({
    pattern: '^[0-9a-f]{64}$',
    description: 'Over name, mode, time and size of every entry before this one'
  }),
  fileOwners: Type.Optional(
    Type.Object(
      { folder: FileOwner, uploadDir: FileOwner },
      { description: "Of the organization's upload folder, and of UPLOAD_DIR" }
    )
  ),
  /** Made by a restore, to be able to undo it. */
  checkpointOf: Type.Optional(Type.String({ format: 'uuid' })),
  warnings: Type.Array(Type.String())
})
export type Metadata = Static<typeof Metadata>

FormatRegistry.Set('uuid', isUuid)
FormatRegistry.Set(
  'date-time',
  text => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(text) && !Number.isNaN(Date.parse(text))
)
const compiled = TypeCompiler.Compile(Metadata)

/** @throws AppError ARCHIVE_INVALID, ARCHIVE_VERSION_UNSUPPORTED */
export function parseMetadata(text: string): Metadata {
  if (!isShallow(text)) throw invalid('metadata-too-deep', 'metadata.json is nested too deeply')
  let value: unknown
  try {
    value = JSON.parse(text, refusePrototype)
  } catch (error) {
    if (error instanceof AppError) throw error
    throw invalid('metadata-not-json', 'metadata.json is not JSON', error)
  }
  const version = (value as { formatVersion?: unknown } | null)?.formatVersion
  if (typeof version === 'number' && version !== formatVersion) {
    throw new AppError(
      'ARCHIVE_VERSION_UNSUPPORTED',
      'format-version',
      `The archive has format ${version}; this release knows format ${formatVersion}.`
    )
  }
  const wrong = compiled.Errors(value).First()
  if (wrong !== undefined) {
    throw invalid('metadata-schema', `metadata.json has a wrong ${wrong.path || 'root'}`)
  }
  const metadata = value as Metadata
  if (!isOrganizationId(metadata.organizationId)) {
    throw invalid('metadata-organization', 'metadata.json names no valid organization')
  }
  return metadata
}

const deepest = 32

/** Looked at before parsing: 16 MiB of brackets would take hundreds of megabytes as objects. */
function isShallow(text: string): boolean {
  let depth = 0
  let inString = false
  for (let position = 0; position < text.length; position += 1) {
    const character = text[position]
    if (character === '"') inString = !inString
    else if (inString) position += character === '\\' ? 1 : 0
    else if (character === '[' || character === '{') depth += 1
    else if (character === ']' || character === '}') depth -= 1
    if (depth > deepest) return false
  }
  return true
}

/** A key of this name becomes an object's prototype when the object is copied the careless way. */
function refusePrototype(key: string, value: unknown): unknown {
  if (key === '__proto__') throw invalid('metadata-proto-key', 'metadata.json has a key "__proto__"')
  return value
}
