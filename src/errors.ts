/** Every failure a caller can see, with the way out that applies unless the throw site knows a better one. */
export const errorCatalogue = {
  BAD_REQUEST: 'Correct the request and send it again.',
  VALIDATION_FAILED: 'Correct the fields named in errors[] and send the request again.',
  UNAUTHORIZED: 'Send a valid access token: Authorization: Bearer <JWT>.',
  FORBIDDEN: 'Ask an OWNER of the organization to do this.',
  NOT_FOUND: 'Check the address against /docs.',
  ORGANIZATION_NOT_FOUND:
    'If the organization was deleted, restore one of its backups. Else use the token of an organization that the database has; a backup of type files needs no row.',
  METHOD_NOT_ALLOWED: 'Use a method that the Allow header names.',
  BACKUP_NOT_FOUND: 'List the backups of your organization with GET /api/backup/list.',
  BACKUP_EXISTS: 'Use the backup that is there; if it is damaged, delete it, then upload again.',
  RESTORE_NOT_FOUND: 'List the restores of your organization with GET /api/backup/restores.',
  JOB_NOT_FOUND:
    'List the jobs of your organization with GET /api/backup/jobs. A job that the service was killed in is in no list: a restore of its id is in GET /api/backup/restores, and a backup in GET /api/backup/list.',
  ORGANIZATION_ID_INVALID: 'Use an organization id of 1 to 64 letters, digits, "_" or "-" that is not a reserved name.',
  JOB_CONFLICT: 'Wait for the running job to end, or cancel it with DELETE /api/backup/jobs/{jobId}, and try again.',
  JOB_CANCELLED: 'Start it again when you want it.',
  SERVICE_STOPPING: 'Try again when the service has restarted.',
  OTHER_ORGANIZATIONS_AFFECTED:
    "Use a backup whose databaseScope is organization. From one of the whole database, the operator can load this organization's rows by hand into an empty database; DATABASE_SCOPE=instance would replace the rows of all organizations.",
  TENANCY_VIOLATION: 'Correct the rows that are listed, or have the operator declare the table in TENANCY_FILE.',
  TENANCY_UNSUPPORTED: 'See GET /api/backup/tenancy for the tables that stand in the way.',
  SCHEMA_DRIFT:
    'Have a developer change the tables that are listed to what the backup needs, then restore again; it has changed nothing.',
  RESTORE_CONFLICT: 'Resolve the conflicts that are listed, then restore again.',
  RESTORE_UNFINISHED: 'Restart the service: it finishes unfinished restores when it starts.',
  RESTORE_NOT_UNDOABLE: 'Restore an older backup instead.',
  CHECKPOINT_IMPOSSIBLE:
    "Remove the reason that is told. Or repeat the restore with rollbackOnFailure: false: it goes on without a checkpoint, and can't be undone.",
  PREFLIGHT_FAILED: 'Remove every shortfall that is listed, then try again.',
  DATABASE_BUSY: 'End the sessions that are named, then restore again.',
  CHECKSUM_MISMATCH:
    'The archive is damaged, or was changed or packed again: restore another backup, or bring back an intact copy of this one.',
  ARCHIVE_INVALID:
    'The archive is not as this service wrote it: it is damaged, or was unpacked and packed again. Restore another backup, or bring back the file as it was written.',
  ARCHIVE_MISSING:
    'The archive is gone from the repository: upload a copy of it or bring it back, or delete the record.',
  ARCHIVE_UNTRUSTED:
    'Ask the operator: BACKUP_SIGNING_KEY_PREVIOUS names former keys, ACCEPT_UNSIGNED_ARCHIVES=true allows archives from elsewhere.',
  ARCHIVE_VERSION_UNSUPPORTED: 'Use a release of dumbassets-backup that knows this archive version.',
  BACKUP_INCOMPATIBLE: 'Restore it on an installation whose FILE_STORAGE_TYPE is that of the backup.',
  DUMP_INVALID: 'The database dump in the archive could not be loaded: restore another backup.',
  LOAD_LIMIT_EXCEEDED:
    'The dump grows without end or takes too long: restore another backup, or have the operator raise LOAD_TIMEOUT.',
  PAYLOAD_TOO_LARGE: 'Send a smaller body.',
  UNSUPPORTED_MEDIA_TYPE:
    'Send the media type that /docs names for this operation: Content-Type: application/json with JSON.',
  RANGE_NOT_SATISFIABLE: 'Ask for a range within the size in the Content-Range header.',
  RATE_LIMITED: 'Wait the number of seconds in the Retry-After header, then try again.',
  DATABASE_UNAVAILABLE: 'Start PostgreSQL, or correct DATABASE_URL.',
  DATABASE_TOOLS_MISSING:
    "Install the PostgreSQL client tools of the server's major version or newer, or set PG_BIN_DIR.",
  DATABASE_ERROR: 'See the service log for the PostgreSQL message.',
  DUMP_FAILED: 'See the service log for the pg_dump message.',
  STORAGE_UNAVAILABLE: 'Make the folder available, readable and writable for the service, then try again.',
  REPOSITORY_UNAVAILABLE: 'Make BACKUP_DIR available, readable and writable for the service, then try again.',
  JOURNAL_DAMAGED:
    'Ask the operator to bring back a good copy of the journal that is named, or to move it away once database and files are seen to be in order.',
  DISK_FULL: 'Free disk space, then try again.',
  CONFIG_INVALID: 'Correct the environment variable that is named.',
  INTERNAL_ERROR: 'Try again; if it happens again, give the operator the request id.'
} as const satisfies Record<string, string>

export type ErrorCode = keyof typeof errorCatalogue

/** One of several things that are wrong. */
export interface Problem {
  /** Which field, table or check it is about. */
  field?: string
  /** As AppError's. */
  reason: string
  message: string
}

export interface AppErrorOptions {
  /** What the reader can do about it; the catalogue's text when left out. */
  remedy?: string
  errors?: readonly Problem[]
  cause?: unknown
}

/**
 * An error that a caller is meant to see. `message` and `remedy` must hold no secret and no path of the host;
 * whatever else is known goes into `cause`, which is logged and never sent.
 */
export class AppError extends Error {
  readonly code: ErrorCode
  /** Which of the code's cases it is, such as `overlapping-entries`: stays when the message is reworded. */
  readonly reason: string
  readonly remedy: string
  readonly errors: AppErrorOptions['errors']

  constructor(code: ErrorCode, reason: string, message: string, options: AppErrorOptions = {}) {
    super(message, { cause: options.cause })
    this.name = 'AppError'
    this.code = code
    this.reason = reason
    this.remedy = options.remedy ?? errorCatalogue[code]
    this.errors = options.errors
  }
}

/** The `code` of a system error (`ENOENT`, …), or undefined when it has none. */
export function systemCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : undefined
}

/**
 * The fields of a log line about an error that the operator can mend: what to do, where, and the errors behind it.
 * An error without a known reason is logged with its stack.
 */
export function errorFields(error: AppError): Record<string, unknown> {
  const { code, reason, remedy, errors } = error
  if (code === 'INTERNAL_ERROR') return { code, reason, remedy, errors, err: error.cause ?? error }
  const causes = causesOf(error)
  const path = causes.map(cause => (cause as Error & { path?: unknown }).path).find(value => value !== undefined)
  return {
    code,
    reason,
    remedy,
    errors,
    path,
    causes: causes.length === 0 ? undefined : causes.map(({ message }) => message)
  }
}

function causesOf(error: Error): Error[] {
  const direct = [error.cause, ...(error instanceof AggregateError ? (error.errors as unknown[]) : [])]
  return direct.filter(cause => cause instanceof Error).flatMap(cause => [cause, ...causesOf(cause)])
}
