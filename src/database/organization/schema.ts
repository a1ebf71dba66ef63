import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { AppError } from '../../errors.js'
import { startProgram } from '../../io/process.js'
import { toEnvironment, type Connection } from '../connection/connection.js'
import { dumpFailed } from '../instance-dump.js'
import { changeDump } from '../load/dump-filter.js'
import { ownSchema } from '../load/marker.js'
import type { PostgresTools } from '../postgres-tools.js'
import { usePath, withLoadPath } from '../search-path.js'
import type { Snapshot } from '../snapshot.js'
import { isTenant, type TenantGraph } from '../tenancy/tenant-table.js'
import { quoteIdentifier } from '../identifiers.js'
import { tableOf } from '../tenancy/tenant-rows.js'

/**
 * How long the dump's sessions wait for a lock that the snapshot's session has already: a change of the table is in
 * between.
 */
export const lockWaitMs = 10_000

export interface SchemaScript {
  /** Everything that must exist before the rows. */
  before: Buffer
  /** Indexes, constraints, triggers. */
  after: Buffer
}

export interface SchemaOptions {
  connection: Connection
  tools: PostgresTools
  snapshot: Snapshot
  graph: TenantGraph
  /** Relations that are left out, quoted. */
  without: readonly string[]
  encoding: string
  loadPath: string
  signal: AbortSignal
}

/**
 * The schema as pg_dump writes it, in the two parts that enclose the rows, as one script of one pg_dump would be.
 * Foreign keys that lead out of the organization's rows can't hold where those rows are alone, so they become NOT
 * VALID. Held in memory: it does not grow with the rows.
 */
export async function dumpSchema(options: SchemaOptions): Promise<SchemaScript> {
  const [before, after, relaxed] = await Promise.all([
    dumpSection(options, 'pre-data'),
    dumpSection(options, 'post-data'),
    outwardConstraints(options)
  ])
  return join(before, await relax(after, relaxed))
}

async function dumpSection(
  { connection, tools, snapshot, without, encoding, loadPath, signal }: SchemaOptions,
  section: string
): Promise<string> {
  const program = startProgram(
    tools.pgDump,
    [
      '--format=plain',
      '--schema-only',
      `--section=${section}`,
      '--no-owner',
      '--no-subscriptions',
      '--no-publications',
      '--no-password',
      '--no-sync',
      `--snapshot=${snapshot.id}`,
      `--exclude-schema=${ownSchema}`,
      `--encoding=${encoding}`,
      `--lock-wait-timeout=${lockWaitMs}`,
      ...without.map(relation => `--exclude-table=${relation}`)
    ],
    { env: toEnvironment(connection), signal }
  )
  try {
    // One character a byte, so that no encoding can change anything.
    const text = (await buffer(program.stdout)).toString('latin1')
    await program.done
    return withLoadPath(text, loadPath)
  } catch (error) {
    signal.throwIfAborted()
    throw dumpFailed(error)
  } finally {
    program.kill()
  }
}

interface OutwardConstraints {
  /** The statement of each, as pg_dump writes it, and the text that takes its place. */
  replaced: Map<string, string>
  /** How the comments on those begin that are left out. */
  comments: string[]
}

/** The foreign keys that lead out of the organization's rows. */
async function outwardConstraints({
  snapshot: { sql },
  graph,
  without,
  loadPath
}: SchemaOptions): Promise<OutwardConstraints> {
  const replaced = new Map<string, string>()
  const comments: string[] = []
  // With names in full, as pg_dump has them.
  await sql.unsafe(usePath(''))
  for (const key of graph.keys) {
    const table = tableOf(graph, key.table)
    const leadsOut = !isTenant(tableOf(graph, key.target)) || (table.declared && table.anchor[0] !== key)
    if (!isTenant(table) || !leadsOut || !key.validated || without.includes(key.relation)) continue
    const [found] = await sql<[{ definition: string; name: string; relation: string; partitioned: boolean }]>`
      SELECT pg_get_constraintdef(k.oid) AS definition, quote_ident(k.conname) AS name, c.relkind = 'p' AS partitioned,
        quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS relation
      FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE k.oid = ${key.oid}`
    const start = `ALTER TABLE ${found.partitioned ? '' : 'ONLY '}${found.relation}\n    ADD CONSTRAINT ${found.name} ${found.definition}`
    // PostgreSQL before 18 has no NOT VALID keys on partitioned tables.
    replaced.set(
      latin1(`${start};`),
      latin1(
        found.partitioned
          ? `-- A foreign key of ${quoteIdentifier(table.name).replace(/\s/g, ' ')} is left out: it leads out of the organization's rows.`
          : `${start} NOT VALID;`
      )
    )
    if (found.partitioned) comments.push(latin1(`COMMENT ON CONSTRAINT ${found.name} ON ${found.relation} IS `))
  }
  await sql.unsafe(usePath(loadPath))
  return { replaced, comments }
}

async function relax(script: string, { replaced, comments }: OutwardConstraints): Promise<string> {
  const left = new Map(replaced)
  const relaxed = await buffer(
    changeDump(Readable.from([Buffer.from(script, 'latin1')]), [
      piece => {
        const written = piece.kind === 'statement' ? piece.bytes.toString('latin1') : ''
        if (comments.some(start => written.startsWith(start))) return []
        const replacement = left.get(written)
        if (replacement === undefined) return [piece]
        left.delete(written)
        return [{ kind: 'statement', bytes: Buffer.from(replacement, 'latin1') }]
      }
    ])
  )
  if (left.size > 0)
    throw new AppError(
      'DUMP_FAILED',
      'foreign-key-not-found',
      'A foreign key that leads out of the organization was not found in what pg_dump wrote.'
    )
  return relaxed.toString('latin1')
}

/** One `\restrict` at the start and its `\unrestrict` at the end, where pg_dump has them. */
function join(before: string, after: string): SchemaScript {
  const end = /\n--\n-- PostgreSQL database dump complete\n--\n(?:\n\\unrestrict [0-9A-Za-z]+\n)?\s*$/
  const key = /^(?:--.*\n|\n)*\\restrict ([0-9A-Za-z]+)\n/.exec(before)?.[1]
  const body = after.replace(/^((?:--.*\n|\n)*)\\restrict [0-9A-Za-z]+\n/, '$1').replace(end, '')
  return {
    before: Buffer.from(before.replace(end, '\n'), 'latin1'),
    after: Buffer.from(
      `${body}\n--\n-- PostgreSQL database dump complete\n--\n\n${key === undefined ? '' : `\\unrestrict ${key}\n\n`}`,
      'latin1'
    )
  }
}

function latin1(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}
