import { createHash } from 'node:crypto'
import path from 'node:path'
import type { Sql } from 'postgres'
import { checksumFolder } from '../../sample/checksums.js'
import { rowsOf } from './rows.js'
import { count, green, red, table } from './show.js'

/** What is shown in one line each. A table that is in no group would escape the proof, so the rest has a line too. */
const groups: Record<string, string[]> = {
  'organization, users, settings': ['organizations', 'users', 'settings'],
  'assets and their parts': ['assets', 'sub_assets', 'components', 'locations', 'warranties', 'tags', '_AssetToTag'],
  'events, comments, audit log': ['maintenance_events', 'comments', 'attachments', 'asset_watchers', 'audit_log']
}
const otherTables = 'all other tables'

/** Line of the proof → how much there is, and a SHA-256 over all of it. */
export type Snapshot = Map<string, { amount: string; sha256: string }>

/** Every row and file of one organization. */
export async function takeSnapshot(sql: Sql, uploadDir: string, organizationId: string): Promise<Snapshot> {
  const snapshot: Snapshot = new Map()
  const rows = await rowsOf(sql, organizationId)
  for (const group of [...Object.keys(groups), otherTables]) {
    const members = rows.filter(({ table }) => groupOf(table) === group)
    snapshot.set(group, {
      amount: `${count(members.length)} rows`,
      sha256: createHash('sha256')
        .update(members.map(({ table, text }) => `${table} ${text}\n`).join(''))
        .digest('hex')
    })
  }
  const { files, sha256 } = await checksumFolder(path.join(uploadDir, organizationId))
  snapshot.set('uploaded files', { amount: `${count(files)} files`, sha256 })
  return snapshot
}

function groupOf(name: string): string {
  return Object.keys(groups).find(group => groups[group]!.includes(name)) ?? otherTables
}

/** The lines in which two snapshots differ. */
export function differences(one: Snapshot, other: Snapshot): string[] {
  return [...one].filter(([name, { sha256 }]) => other.get(name)?.sha256 !== sha256).map(([name]) => name)
}

/** Prints snapshots side by side, each line marked by whether it is as in the first. */
export function compare(snapshots: Record<string, Snapshot>): void {
  const [before] = Object.values(snapshots) as [Snapshot]
  const cell = (snapshot: Snapshot, name: string): string => {
    const { amount, sha256 } = snapshot.get(name)!
    return `${sha256 === before.get(name)!.sha256 ? '✓' : '✗'} ${sha256.slice(0, 10)} ${amount}`
  }
  const rows = [...before.keys()].map(name => [name, ...Object.values(snapshots).map(snapshot => cell(snapshot, name))])
  table([['', ...Object.keys(snapshots)], ...rows], text =>
    text.startsWith('✗') ? red(text) : text.startsWith('✓') ? green(text) : text
  )
}
