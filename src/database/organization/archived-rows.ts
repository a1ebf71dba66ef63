import type { RunningProgram } from '../../io/process.js'
import type { Connection } from '../connection/connection.js'
import { beginScript } from '../connection/session-settings.js'
import { quoteColumns, quoteLiteral } from '../identifiers.js'
import type { PostgresTools } from '../postgres-tools.js'
import { usePath } from '../search-path.js'
import type { MergeTable } from './drift.js'
import { startRowWriter, transferSettings } from './rows.js'

/** The scratch database that holds an archive's rows. */
export interface ArchivedRows {
  /** As the role that loaded it. */
  scratch: Connection
  /** The search_path that its functions need. */
  path: string
  tools: PostgresTools
}

export interface ArchivedRowsReader {
  /**
   * A table's rows in COPY's text format, to be read to their end before the next table is asked for.
   * @throws ProgramError
   */
  rowsOf(table: MergeTable): AsyncGenerator<Buffer>
  close(): void
}

/** No row in COPY's text format is this line (PostgreSQL manual, COPY). */
const endOfRows = '\\.'
const endBytes = Buffer.from(`\n${endOfRows}\n`)

/**
 * Reads the archive's rows, by one psql for all tables. Nothing of the archive runs here: the scratch database is read
 * as the role that loaded it, and only rows come out.
 * @param encoding of the text
 */
export function openArchivedRows(
  { scratch, path, tools }: ArchivedRows,
  encoding: string,
  signal: AbortSignal
): ArchivedRowsReader {
  let program: RunningProgram | undefined
  let output: AsyncIterator<Buffer> | undefined

  function start(): RunningProgram {
    const started = startRowWriter(tools, scratch, encoding, signal)
    started.stdin.write(`${beginScript}${transferSettings}\n${usePath(path)}\n`)
    output = started.stdout[Symbol.asyncIterator]() as AsyncIterator<Buffer>
    return started
  }

  async function nextChunk({ done }: RunningProgram): Promise<Buffer> {
    const next = await output!.next()
    if (next.done !== true) return next.value
    await done
    throw new Error('psql ended before it had sent all rows.')
  }

  return {
    async *rowsOf({ table, columns }) {
      program ??= start()
      // Without a query around it where possible, so that nothing that the archive defined is evaluated.
      const rows = table.partitioned
        ? `(SELECT ${quoteColumns(columns)} FROM ${table.relation})`
        : `${table.relation} (${quoteColumns(columns)})`
      program.stdin.write(`COPY ${rows} TO STDOUT;\nSELECT ${quoteLiteral(endOfRows)};\n`)
      let held = await nextChunk(program)
      if (held.subarray(0, endBytes.length - 1).equals(endBytes.subarray(1))) return
      for (;;) {
        const end = held.indexOf(endBytes)
        if (end !== -1) {
          yield held.subarray(0, end + 1)
          return
        }
        // What may be the beginning of the end stays.
        const through = Math.max(0, held.length - endBytes.length + 1)
        yield held.subarray(0, through)
        held = Buffer.concat([held.subarray(through), await nextChunk(program)])
      }
    },
    close() {
      program?.kill()
    }
  }
}
