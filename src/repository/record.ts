import { Type, type Static } from '@sinclair/typebox'
import { SchemaProof } from '../database/load/schema-proof.js'
import { BackupType, Counts, DatabaseScope, type Metadata } from '../archive/metadata.js'

/** A backup as every operation of the API shows it, and as it is stored beside its archive. */
export const Backup = Type.Object(
  {
    id: Type.String({ format: 'uuid' }),
    timestamp: Type.String({ format: 'date-time', description: 'When the snapshot was taken' }),
    createdBy: Type.String({ description: 'E-mail of the user who asked for it, else the user id' }),
    organizationId: Type.String(),
    type: BackupType,
    size: Type.Integer({ minimum: 0, description: 'Bytes of the archive' }),
    checksum: Type.String({ pattern: '^[0-9a-f]{64}$', description: 'SHA-256 of the archive, in hex' }),
    trusted: Type.Boolean({
      description: "The archive carries a signature with one of this installation's present keys; a restore looks again"
    }),
    signedBy: Type.Optional(
      Type.String({
        pattern: '^[0-9a-f]{16}$',
        description: 'Tells which key: the first 16 hex digits of HMAC-SHA256(key, "key-id")'
      })
    ),
    databaseType: Type.Union([Type.Literal('embedded'), Type.Literal('external')]),
    databaseScope: Type.Union([DatabaseScope, Type.Null()], { description: 'null when the database is not included' }),
    fileStorageType: Type.Union([Type.Literal('local'), Type.Literal('smb')]),
    includesDatabase: Type.Boolean(),
    includesFiles: Type.Boolean(),
    description: Type.Optional(Type.String()),
    checkpointOf: Type.Optional(
      Type.String({ format: 'uuid', description: 'The restore that made this backup, to be able to undo it' })
    ),
    version: Type.String({ description: 'The release of dumbassets-backup that made it' }),
    counts: Counts,
    schemaProof: Type.Optional(SchemaProof),
    warnings: Type.Array(Type.String()),
    state: Type.Union([Type.Literal('available'), Type.Literal('missing')], {
      description: 'missing: the record is there, the archive is not'
    })
  },
  { $id: 'Backup', additionalProperties: false }
)
export type Backup = Static<typeof Backup>

/** The record of an archive, made from its metadata and from what was measured as it was written. */
export function recordOf(
  metadata: Omit<Metadata, 'attributesDigest'>,
  archive: { size: number; checksum: string; signedBy: string | null }
): Backup {
  return {
    id: metadata.id,
    timestamp: metadata.timestamp,
    createdBy: metadata.createdByEmail ?? metadata.createdBy,
    organizationId: metadata.organizationId,
    type: metadata.type,
    size: archive.size,
    checksum: archive.checksum,
    trusted: archive.signedBy !== null,
    ...(archive.signedBy === null ? {} : { signedBy: archive.signedBy }),
    databaseType: metadata.databaseType,
    databaseScope: metadata.databaseScope,
    fileStorageType: metadata.fileStorageType,
    includesDatabase: metadata.includesDatabase,
    includesFiles: metadata.includesFiles,
    ...(metadata.description === null ? {} : { description: metadata.description }),
    ...(metadata.checkpointOf === undefined ? {} : { checkpointOf: metadata.checkpointOf }),
    version: metadata.version,
    counts: metadata.counts,
    ...(metadata.schemaProof === undefined ? {} : { schemaProof: metadata.schemaProof }),
    warnings: metadata.warnings,
    state: 'available'
  }
}
