import type { Sql } from 'postgres'
import { openSql, type Connection } from '../../src/database/connection/connection.js'
import { median } from '../measure.js'
import { runWatch, startWatch, type Watch } from './watch.js'

interface Settings {
  connection: Connection
  statement: string
  everyMs: number
  connections: number
}

/** What a client of the database sees. */
export interface DatabaseFindings {
  answers: number
  /** Statements that failed or were not answered in two seconds. */
  errors: number
  typicalGapMs: number
  /** The longest time between two answers. */
  longestGapMs: number
  /** What the longest gap was longer than a typical one. */
  pauseMs: number
}

const answerLimitMs = 2000

/** A client with a pool that asks again and again, and connects again when it is thrown out. */
export async function watchDatabase(settings: Settings): Promise<Watch<DatabaseFindings>> {
  return await startWatch(import.meta.filename, settings)
}

async function begin({
  connection,
  statement,
  everyMs,
  connections
}: Settings): Promise<() => Promise<DatabaseFindings>> {
  const answeredAt: number[] = []
  let errors = 0
  let waiting = 0
  let pool = openPool()

  function openPool(): Sql {
    return openSql(connection, { max: connections, applicationName: 'bench-client' })
  }

  // The driver can throw outside of any query, or never answer, when a busy connection is killed.
  process.on('uncaughtException', () => {
    errors += 1
  })

  async function ask(): Promise<void> {
    const asked = pool
    const limit = setTimeout(() => {
      if (pool !== asked) return
      pool = openPool()
      void asked.end({ timeout: 0 })
    }, answerLimitMs)
    try {
      await asked.unsafe(statement)
      answeredAt.push(performance.now())
    } catch {
      errors += 1
    } finally {
      clearTimeout(limit)
    }
  }

  await ask()
  const timer = setInterval(() => {
    if (waiting === connections) return
    waiting += 1
    void ask().finally(() => {
      waiting -= 1
    })
  }, everyMs)

  return async () => {
    clearInterval(timer)
    // What is open now ends the last gap.
    await ask()
    await pool.end({ timeout: 1 })
    const gaps = answeredAt.slice(1).map((at, index) => at - answeredAt[index]!)
    const typicalGapMs = median(gaps)
    const longestGapMs = gaps.reduce((longest, gap) => Math.max(longest, gap), 0)
    return { answers: answeredAt.length, errors, typicalGapMs, longestGapMs, pauseMs: longestGapMs - typicalGapMs }
  }
}

if (process.argv[1] === import.meta.filename) await runWatch(begin)
