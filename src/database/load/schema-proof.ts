import { createHash } from 'node:crypto'
import { finished } from 'node:stream/promises'
import { Type, type Static } from '@sinclair/typebox'
import { startProgram } from '../../io/process.js'
import { toEnvironment, type Connection } from '../connection/connection.js'
import { quoteLiteral } from '../identifiers.js'
import type { DatabaseDetails } from '../database-details.js'
import { withMaintenance } from '../maintenance.js'
import type { PostgresTools } from '../postgres-tools.js'
import { describeEntry, entryAt } from './dump-entries.js'
import type { DumpEntry } from './dump-pieces.js'
import { loadFailed, restricted } from './load-dump.js'
import { createScratch, dropScratch, type Loader, type ScratchNames } from './scratch.js'

export const SchemaProof = Type.Object(
  {
    state: Type.Union([Type.Literal('loaded'), Type.Literal('failed'), Type.Literal('not-tried')], {
      description:
        'Whether the schema of the dump was loaded into an empty database as a restore loads it, without rows'
    }),
    fingerprint: Type.Optional(
      Type.String({
        pattern: '^[0-9a-f]{64}$',
        description: 'SHA-256 of the schema and of what it was loaded with: equal schemas are loaded once'
      })
    ),
    failures: Type.Optional(
      Type.Array(Type.Object({ object: Type.String(), message: Type.String() }), {
        description: 'The objects that could not be loaded'
      })
    ),
    reason: Type.Optional(Type.String({ description: 'Why it was not tried' }))
  },
  { description: 'Absent without a database, and in backups that were made before there was one' }
)
export type SchemaProof = Static<typeof SchemaProof>

export interface LoadFailure {
  entry: DumpEntry
  message: string
}

export interface ProofRequest {
  /** The dump's script without rows. */
  schema: Buffer
  details: DatabaseDetails
  signal: AbortSignal
}

/** Of files that the service makes itself, none is larger. */
const maxBytes = 1 << 30
/** Room for the errors of thousands of objects. */
const stderrBytes = 1 << 20
const mostFailures = 100

/** Of the text that pg_dump writes: what differs from dump to dump of the same schema is left out. */
export function proofFingerprint(schema: Buffer, facts: readonly string[]): string {
  const text = schema.toString('latin1').replace(/^(?:\\(?:un)?restrict .*|-- Dumped (?:from|by) .*)\n/gm, '')
  return createHash('sha256').update(facts.join('\n')).update(text, 'latin1').digest('hex')
}

/**
 * Loads a schema into a scratch database as a restore would, and removes that again. A failure does not stop it, so
 * that all of them are found.
 * @param onLeft is told why the scratch database could not be removed; the next proof tries again
 * @returns what can't be loaded, without what only fails because of that
 * @throws AppError when the scratch database can't be had, and the reason of the signal
 */
export async function loadSchema(
  connection: Connection,
  tools: PostgresTools,
  request: ProofRequest,
  onLeft: (error: unknown) => void
): Promise<LoadFailure[]> {
  return await alone(connection, async names => {
    try {
      const { loader } = await createScratch(connection, names, request.details, maxBytes)
      request.signal.throwIfAborted()
      return await findFailures(connection, tools, { ...request, database: names.database, loader })
    } finally {
      await dropScratch(connection, names).catch(onLeft)
    }
  })
}

/** Removes what a crash has left of a proof. Another service may be at one: that is waited for. */
export async function removeLeftProof(connection: Connection): Promise<void> {
  const { database, loader } = namesOf(connection)
  const isThere = await withMaintenance(
    connection,
    async sql =>
      await sql`
    SELECT FROM pg_catalog.pg_database WHERE datname = ${database} UNION ALL SELECT FROM pg_catalog.pg_roles WHERE rolname = ${loader}`
  )
  if (isThere.length > 0) await alone(connection, async () => {})
}

/** The same for every proof of a database, so that the next one finds what a crash has left. */
function namesOf({ database }: Connection): ScratchNames {
  const suffix = createHash('sha256').update(database).digest('hex').slice(0, 32)
  return { database: `dab_proof_${suffix}`, loader: `dab_loader_${suffix}` }
}

/** One proof of a database at a time, on the whole server. */
async function alone<T>(connection: Connection, use: (names: ScratchNames) => Promise<T>): Promise<T> {
  const names = namesOf(connection)
  return await withMaintenance(connection, async sql => {
    // A session that hangs at one must not hold up every backup.
    await sql.unsafe("SET lock_timeout = '60s'")
    await sql.unsafe(
      `SELECT pg_catalog.pg_advisory_lock(pg_catalog.hashtextextended(${quoteLiteral(`dumbassets-backup proof ${names.database}`)}, 0))`
    )
    await dropScratch(connection, names)
    return await use(names)
  })
}

interface SchemaLoad extends ProofRequest {
  database: string
  loader: Loader | null
}

async function findFailures(
  connection: Connection,
  tools: PostgresTools,
  { schema, details, database, loader, signal }: SchemaLoad
): Promise<LoadFailure[]> {
  const chunks: Buffer[] = []
  const load = {
    database,
    loader,
    sql: only(schema),
    hasDefaultPrivileges: details.defaultPrivileges.length > 0,
    signal
  }
  for await (const chunk of restricted(tools, load)) chunks.push(chunk)
  const script = Buffer.concat(chunks)
  const program = startProgram(
    tools.psql,
    ['--no-psqlrc', '--quiet', '--no-password', '--set=VERBOSITY=terse', '--output=/dev/null', '--file=-'],
    { env: toEnvironment(connection, { database, ...loader }), signal, stderrBytes }
  )
  // psql may end before it has read all; why it did is what `done` says.
  program.stdin.on('error', () => {})
  program.stdin.end(script)
  await finished(program.stdout.resume())
  await program.done.catch(async (error: unknown) => {
    signal.throwIfAborted()
    throw await loadFailed(error)
  })
  const failures: LoadFailure[] = []
  for (const [, line, message = ''] of program
    .errors()
    .matchAll(/^psql:<stdin>:(\d+): (?:ERROR|FATAL): {1,2}(.*)$/gm)) {
    // What is missing has failed itself.
    if (failures.length >= mostFailures || (failures.length > 0 && /does not exist/.test(message))) continue
    const entry = await entryAt(only(script), Number(line))
    if (entry !== null && !failures.some(failure => describeEntry(failure.entry) === describeEntry(entry)))
      failures.push({ entry, message })
  }
  return failures
}

async function* only(text: Buffer): AsyncGenerator<Buffer> {
  yield text
}
