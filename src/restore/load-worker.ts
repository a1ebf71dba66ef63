import { read } from 'node:fs'
import { promisify } from 'node:util'
import { readEntry, type EntryToRead } from '../archive/read-entry.js'
import { loadDump } from '../database/load/load-dump.js'
import { AppError } from '../errors.js'
import { enterLane, failureOf, type Failure } from '../io/lane.js'
import { ProgramError } from '../io/process.js'
import type { LoadReply, LoadTask } from './load-protocol.js'
import { readDump } from './read-dump.js'

/*
 * A worker thread that reads a dump and feeds psql with it. That makes gigabytes of garbage outside of the heap, for
 * which V8 sweeps the heap again and again: this thread's is small, and no request waits for its answers.
 */
const { port } = enterLane<null>()
const readAt = promisify(read)
const stop = new AbortController()

port.on('message', (task: LoadTask) => {
  if (task.kind === 'stop') stop.abort()
  else void load(task)
})

async function load({
  connection,
  tools,
  load,
  descriptor,
  dump,
  trusted
}: Extract<LoadTask, { kind: 'load' }>): Promise<void> {
  const source = {
    read: async (target: Buffer, offset: number, length: number, position: number) =>
      await readAt(descriptor, target, offset, length, position)
  }
  const archive = { trusted, read: (entry: EntryToRead) => readEntry(source, entry) }
  let told = 0

  async function attempt(inOneTransaction: boolean): Promise<void> {
    let read = 0
    const sql = readDump(archive, dump, bytes => {
      read += bytes
      if (read > told) reply({ kind: 'read', bytes: read - told })
      told = Math.max(told, read)
    })
    // What fails in one transaction is tried again without, which tells.
    const again = inOneTransaction ? undefined : (): AsyncGenerator<Buffer> => readDump(archive, dump, () => {})
    await loadDump(connection, tools, { ...load, inOneTransaction, sql, again, signal: stop.signal })
  }

  try {
    const inOneTransaction = load.inOneTransaction === true
    // A dump may hold what no transaction can do, or more than one has locks for: PostgreSQL tells. What else is wrong
    // stays so.
    await attempt(inOneTransaction).catch(async (error: unknown) => {
      if (
        !inOneTransaction ||
        !(error instanceof AppError) ||
        error.code !== 'DUMP_INVALID' ||
        !(error.cause instanceof ProgramError)
      )
        throw error
      await attempt(false)
    })
    reply({ kind: 'loaded' })
  } catch (error) {
    reply(failureOf(error))
  }
}

function reply(message: LoadReply | Failure): void {
  port.postMessage(message)
}
