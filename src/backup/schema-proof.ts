import type { DatabaseScope } from '../archive/metadata.js'
import type { Core } from '../core.js'
import { databaseError, withSql, type Connection } from '../database/connection/connection.js'
import { readDatabaseDetails } from '../database/database-details.js'
import { describeEntry } from '../database/load/dump-entries.js'
import { wayFor } from '../database/load/remedies.js'
import { loadSchema, proofFingerprint, type LoadFailure, type SchemaProof } from '../database/load/schema-proof.js'
import type { PostgresTools } from '../database/postgres-tools.js'
import type { Finding } from '../database/superuser-objects.js'
import { AppError } from '../errors.js'

export interface Provable {
  organizationId: string
  scope: DatabaseScope
  connection: Connection
  tools: PostgresTools
  /** Of the server. */
  version: string
  mayCreateDatabase: boolean
  mayCreateRole: boolean
  /** The dump's script without rows. */
  schema: () => Promise<Buffer>
}

export interface Proof {
  proof: SchemaProof
  failures: LoadFailure[]
}

/** Schemas that this process has seen loaded, by server and fingerprint. */
const loaded = new Set<string>()
const proofMs = 120_000
const recordsLookedAt = 20

/**
 * Proves that a schema can be loaded, unless one that is equal has been: in this process, or for a backup that the
 * organization still has. A proof that can't be made is no reason to have no backup.
 * @throws the reason of the signal
 */
export async function proveSchema(core: Core, request: Provable, signal: AbortSignal): Promise<Proof> {
  const { scope, connection, tools, version, mayCreateDatabase, mayCreateRole } = request
  if (!mayCreateDatabase)
    return notTried(
      `The database user may not create databases (ALTER ROLE ... CREATEDB)${scope === 'organization' ? ', which a restore of one organization needs' : ''}.`
    )
  try {
    const schema = await request.schema()
    const fingerprint = proofFingerprint(schema, [version, tools.version, String(mayCreateRole)])
    const known = `${connection.host}:${connection.port} ${fingerprint}`
    if (!loaded.has(known) && !(await isRecorded(core, request.organizationId, fingerprint))) {
      const details = await withSql(connection, {}, readDatabaseDetails)
      const failures = await loadSchema(
        connection,
        tools,
        { schema, details, signal: AbortSignal.any([signal, AbortSignal.timeout(proofMs)]) },
        error => {
          core.log.warn(
            { err: error, organizationId: request.organizationId },
            "The database that a schema was tried in can't be dropped now; the next backup tries again"
          )
        }
      )
      if (failures.length > 0)
        return {
          proof: {
            state: 'failed',
            fingerprint,
            failures: failures.map(({ entry, message }) => ({ object: describeEntry(entry), message }))
          },
          failures
        }
    }
    loaded.add(known)
    return { proof: { state: 'loaded', fingerprint }, failures: [] }
  } catch (error) {
    signal.throwIfAborted()
    const reason =
      error instanceof DOMException && error.name === 'TimeoutError'
        ? new AppError(
            'LOAD_LIMIT_EXCEEDED',
            'schema-load-time',
            `Loading the schema takes longer than ${proofMs / 1000} s.`
          )
        : databaseError(error)
    core.log.warn({ err: error, organizationId: request.organizationId }, 'The schema of a backup could not be tried')
    return notTried(`${reason.message} ${reason.remedy}`)
  }
}

/** One sentence each, in words that an owner can hand to the operator; without what `findings` tell already. */
export function proofWarnings({ proof, failures }: Proof, findings: readonly Finding[]): string[] {
  const isTold = ({ entry: { type, name } }: LoadFailure): boolean =>
    findings.some(
      ({ types, names }) =>
        types.includes(type) &&
        names.some(told => (type === 'CAST' ? name.includes(told) : bareName(told) === bareName(name)))
    )
  if (proof.state === 'not-tried')
    return [`Whether this backup's schema can be restored was not tried: ${proof.reason}`]
  return failures
    .filter(failure => !isTold(failure))
    .map(
      ({ entry, message }) =>
        `A restore will fail at ${describeEntry(entry)}: ${message}. For the operator: ${wayFor(entry, message)}, then make another backup.`
    )
}

/** Without schema, arguments and the like. */
function bareName(name: string): string {
  return name.replace(/[ (].*$/s, '').replace(/^.*\./, '')
}

function notTried(reason: string): Proof {
  return { proof: { state: 'not-tried', reason }, failures: [] }
}

/** Proven before the service was started. */
async function isRecorded({ catalog }: Core, organizationId: string, fingerprint: string): Promise<boolean> {
  const { backups } = await catalog.list(organizationId, { limit: recordsLookedAt })
  return backups.some(
    ({ trusted, schemaProof }) => trusted && schemaProof?.state === 'loaded' && schemaProof.fingerprint === fingerprint
  )
}
