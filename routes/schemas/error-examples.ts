import type { AppErrorOptions, ErrorCode, Problem } from '../../src/errors.js'

interface ErrorExample {
  reason: string
  message: string
  remedy?: string
  errors?: Problem[]
}

const jobId = 'c2a9e6f4-5b17-4d38-b6e1-0f9a8c7d6e52'
const backupId = '7d4f2c1e-98a3-4b57-8f2e-6c0b1d9e3a54'

/**
 * An error of each code that the API document names, as it is answered; the remedy is the catalogue's unless it stands
 * here.
 */
export const errorExamples = {
  BAD_REQUEST: {
    reason: 'refused-by-framework',
    message: "Body is not valid JSON but content-type is set to 'application/json'"
  },
  VALIDATION_FAILED: { reason: 'request-schema', message: 'The request is not valid.' },
  UNAUTHORIZED: { reason: 'no-token', message: 'The request has no access token.' },
  FORBIDDEN: { reason: 'not-owner', message: 'Only an OWNER of the organization can work with its backups.' },
  ORGANIZATION_NOT_FOUND: {
    reason: 'organization-without-row',
    message: 'The organization has no row in public.organizations.'
  },
  BACKUP_NOT_FOUND: { reason: 'no-such-backup', message: 'There is no such backup.' },
  RESTORE_NOT_FOUND: {
    reason: 'no-such-restore',
    message: 'There is no restore 3b8e5d7a-1f46-4c29-9a0d-2e7f6b5c4d83.'
  },
  JOB_NOT_FOUND: { reason: 'no-such-job', message: `There is no job ${jobId}.` },
  ARCHIVE_MISSING: { reason: 'archive-gone', message: 'The archive of this backup is gone.' },
  BACKUP_EXISTS: { reason: 'backup-exists', message: `The backup ${backupId} is there already.` },
  JOB_CONFLICT: {
    reason: 'job-of-organization-runs',
    message: `A restore job is running for this organization: ${jobId}.`
  },
  JOB_CANCELLED: { reason: 'job-cancelled', message: 'The job was cancelled.' },
  OTHER_ORGANIZATIONS_AFFECTED: {
    reason: 'other-organizations',
    message: 'The database holds 12 organizations, and the backup is one of the whole database.'
  },
  TENANCY_VIOLATION: {
    reason: 'rows-of-several-organizations',
    message: '1 row belongs to more than one organization.'
  },
  TENANCY_UNSUPPORTED: { reason: 'not-divisible', message: "The database can't be split by organization." },
  SCHEMA_DRIFT: {
    reason: 'schema-changed',
    message: "The schema has changed since the backup in ways that it can't be restored into."
  },
  RESTORE_CONFLICT: { reason: 'conflicts-with-live', message: 'The backup contradicts what the database holds now.' },
  RESTORE_UNFINISHED: {
    reason: 'commit-unknown',
    message: "The database can't be asked now whether it has committed the restore."
  },
  RESTORE_NOT_UNDOABLE: {
    reason: 'dry-run',
    message: 'A dry run changes nothing.',
    remedy: 'There is nothing to undo.'
  },
  CHECKPOINT_IMPOSSIBLE: { reason: 'archive-gone', message: "The checkpoint can't be restored: Its archive is gone." },
  PREFLIGHT_FAILED: { reason: 'rights-missing', message: 'The database user lacks what the restore needs.' },
  DATABASE_BUSY: {
    reason: 'table-locked',
    message: 'A table stayed locked for too long by another session, or by a prepared transaction.'
  },
  PAYLOAD_TOO_LARGE: { reason: 'refused-by-framework', message: 'Request body is too large' },
  UNSUPPORTED_MEDIA_TYPE: { reason: 'refused-by-framework', message: 'Unsupported Media Type' },
  RANGE_NOT_SATISFIABLE: {
    reason: 'range-outside-archive',
    message: 'The archive has 48219004 bytes, and the range is not within them.'
  },
  CHECKSUM_MISMATCH: {
    reason: 'archive-digest-differs',
    message: 'The archive is not the one that was written: its size or SHA-256 differs from the record.'
  },
  ARCHIVE_INVALID: { reason: 'own-entry-missing', message: "The archive can't be used: metadata.json is missing." },
  ARCHIVE_UNTRUSTED: {
    reason: 'not-signed-here',
    message:
      'The archive carries no signature of this installation: it was made elsewhere, or changed since, or the key is another now.'
  },
  ARCHIVE_VERSION_UNSUPPORTED: {
    reason: 'format-version',
    message: 'The archive has format 2; this release knows format 1.'
  },
  BACKUP_INCOMPATIBLE: {
    reason: 'nothing-restorable',
    message: 'The backup holds nothing that can be restored: the uploaded files were on an SMB share when it was made.',
    remedy: "Put the files back with the share's own backup, as files/SMB_BACKUP_INFO.txt in the archive says."
  },
  DUMP_INVALID: {
    reason: 'row-count',
    message: 'After loading, the table public.assets has 1203 rows in place of 1204.'
  },
  LOAD_LIMIT_EXCEEDED: { reason: 'load-time', message: 'Loading the dump takes longer than 900 s.' },
  RATE_LIMITED: { reason: 'too-many-requests', message: 'Too many requests: try again in 12 seconds.' },
  DATABASE_ERROR: { reason: 'operation-failed', message: 'The database operation failed.' },
  DUMP_FAILED: {
    reason: 'pg-dump-failed',
    message: 'pg_dump failed: error: query failed: ERROR:  invalid page in block 12 of relation base/16384/16397'
  },
  INTERNAL_ERROR: { reason: 'unexpected', message: 'Something unexpected happened.' },
  SERVICE_STOPPING: { reason: 'service-stopping', message: 'The service is stopping.' },
  CONFIG_INVALID: { reason: 'tenancy-file-invalid', message: 'TENANCY_FILE is not JSON.' },
  DATABASE_UNAVAILABLE: {
    reason: 'unreachable',
    message: "The database can't be reached.",
    remedy: 'Start PostgreSQL, or correct host and port in DATABASE_URL.'
  },
  DATABASE_TOOLS_MISSING: {
    reason: 'client-tools-missing',
    message: 'pg_dump and psql were not found; PostgreSQL 17 needs version 17 or newer.'
  },
  STORAGE_UNAVAILABLE: { reason: 'folder-missing', message: 'The folder UPLOAD_DIR is not there.' },
  REPOSITORY_UNAVAILABLE: {
    reason: 'folder-replaced',
    message: 'BACKUP_DIR was removed or replaced while the service was running.'
  },
  DISK_FULL: { reason: 'no-room-for-upload', message: 'There is not enough disk space for the archive.' }
} as const satisfies Partial<Record<ErrorCode, Pick<AppErrorOptions, 'remedy'> & ErrorExample>>

export type ExampleCode = keyof typeof errorExamples
