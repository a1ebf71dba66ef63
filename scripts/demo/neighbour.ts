import { createHash } from 'node:crypto'
import { appendFile, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { Sql } from 'postgres'
import { rowsOf, type Row } from './rows.js'

/** What another organization has left behind in the shared database and in its upload folder. */
export interface Ledger {
  rows: Set<string>
  files: Map<string, string>
  transactions: number
  longestMs: number
}

const lineOf = ({ table, text, place }: Row): string => `${table} ${place} ${text}`

export async function openLedger(sql: Sql, folder: string, organizationId: string): Promise<Ledger> {
  return {
    rows: new Set((await rowsOf(sql, organizationId)).map(lineOf)),
    files: await hashFiles(folder),
    transactions: 0,
    longestMs: 0
  }
}

/**
 * Adds and changes rows and a file, one transaction after the other, until told to stop, and writes down what it left.
 */
export function keepWorking(
  connect: () => Promise<Sql>,
  folder: string,
  organizationId: string,
  ledger: Ledger
): { stop: () => Promise<void> } {
  let working = true
  const work = (async () => {
    const sql = await connect()
    try {
      while (working) {
        const startedAt = performance.now()
        await workOnce(sql, organizationId, ledger)
        ledger.longestMs = Math.max(ledger.longestMs, performance.now() - startedAt)
        ledger.transactions += 1
        if (ledger.transactions % 20 === 0)
          await appendFile(path.join(folder, 'journal.txt'), `${ledger.transactions}\n`)
      }
    } finally {
      await sql.end({ timeout: 5 })
    }
    ledger.files.set('journal.txt', await hashFile(path.join(folder, 'journal.txt')))
  })()
  return {
    async stop() {
      working = false
      await work
    }
  }
}

/** A new asset, an entry in the audit log, and a user who signs in. */
async function workOnce(sql: Sql, organizationId: string, { rows, transactions }: Ledger): Promise<void> {
  const userId = `${organizationId}-user-${transactions % 5}`
  const assetId = `${organizationId}-live-${process.hrtime.bigint()}`
  await sql.begin(async transaction => {
    const written = (table: string) =>
      transaction`RETURNING ${table} AS table, ROW(t.*)::text AS text, t.ctid || ' ' || t.xmin AS place`
    const [before] = await transaction<
      Row[]
    >`SELECT 'users' AS table, ROW(t.*)::text AS text, t.ctid || ' ' || t.xmin AS place FROM users t WHERE id = ${userId} FOR UPDATE`
    const [asset] = await transaction<
      Row[]
    >`INSERT INTO assets AS t (id, "organizationId", name, "createdAt", "updatedAt")
      VALUES (${assetId}, ${organizationId}, 'Made while the neighbour was restored', now(), now()) ${written('assets')}`
    const [entry] = await transaction<Row[]>`INSERT INTO audit_log AS t ("organizationId", action, "entityId", at)
      VALUES (${organizationId}, 'asset.created', ${assetId}, now()) ${written('audit_log')}`
    const [user] = await transaction<
      Row[]
    >`UPDATE users t SET "lastLoginAt" = clock_timestamp() WHERE id = ${userId} ${written('users')}`
    rows.delete(lineOf(before!))
    for (const row of [asset!, entry!, user!]) rows.add(lineOf(row))
  })
}

/** @throws Error when anything of the organization is not as, and where, it left it */
export async function requireAsLeft(
  sql: Sql,
  folder: string,
  organizationId: string,
  { rows, files }: Ledger
): Promise<void> {
  const now = new Set((await rowsOf(sql, organizationId)).map(lineOf))
  const lost = [...rows].filter(line => !now.has(line))
  const strange = [...now].filter(line => !rows.has(line))
  if (lost.length + strange.length > 0)
    throw new Error(
      `${lost.length} rows of ${organizationId} are not as it left them, ${strange.length} are not its own: ${lost[0] ?? strange[0]}`
    )
  const there = await hashFiles(folder)
  const wrong = [...new Set([...files.keys(), ...there.keys()])].filter(name => files.get(name) !== there.get(name))
  if (wrong.length > 0) throw new Error(`Files of ${organizationId} are not as it left them: ${wrong.join(', ')}`)
}

async function hashFiles(folder: string): Promise<Map<string, string>> {
  await writeFile(path.join(folder, 'journal.txt'), '', { flag: 'a' })
  const files = new Map<string, string>()
  for (const name of (await readdir(folder, { recursive: true })).sort()) {
    if ((await stat(path.join(folder, name))).isFile()) files.set(name, await hashFile(path.join(folder, name)))
  }
  return files
}

async function hashFile(file: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(file))
    .digest('hex')
}
