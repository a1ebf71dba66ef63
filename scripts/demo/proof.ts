import { createHash } from 'node:crypto'
import path from 'node:path'
import type { Sql } from 'postgres'
import { checksumDatabase, checksumFolder } from '../../sample/checksums.js'
import { count, green, red, table } from './show.js'

/** What is shown in one line each. A table that is in no group would escape the proof, so the rest has a line too. */
const groups: Record<string, string[]> = {
  'organizations, users, settings': ['organizations', 'users', 'settings'],
  'assets and their parts': ['assets', 'sub_assets', 'components', 'locations', 'warranties', 'tags', '_AssetToTag'],
  'events, comments, audit log': ['maintenance_events', 'comments', 'attachments', 'asset_watchers', 'audit_log']
}
const otherTables = 'all other tables'
const definitions = 'sequences and definitions'

/** Line of the proof → how much there is, and a SHA-256 over all of it. */
export type Snapshot = Map<string, { amount: string, sha256: string }>

export async function takeSnapshot (sql: Sql, uploadDir: string, organizations: readonly string[]): Promise<Snapshot> {
  const snapshot: Snapshot = new Map()
  const checksums = Object.entries(await checksumDatabase(sql))
  for (const group of [...Object.keys(groups), otherTables, definitions]) {
    const members = checksums.filter(([name]) => groupOf(name) === group)
    const rows = members.reduce((sum, [, { rows }]) => sum + rows, 0)
    snapshot.set(group, {
      amount: group === definitions ? `${count(rows)} lines` : `${count(rows)} rows`,
      sha256: createHash('sha256').update(members.map(([name, { sha256 }]) => `${name} ${sha256}\n`).join('')).digest('hex')
    })
  }
  for (const organizationId of organizations) {
    const { files, sha256 } = await checksumFolder(path.join(uploadDir, organizationId))
    snapshot.set(`files of ${organizationId}`, { amount: `${count(files)} files`, sha256 })
  }
  return snapshot
}

function groupOf (name: string): string {
  if (!name.startsWith('public.')) return definitions
  return Object.keys(groups).find(group => groups[group]!.includes(name.slice('public.'.length))) ?? otherTables
}

/** Prints the three snapshots side by side, and says which lines differ from the first one. */
export function compare (before: Snapshot, damaged: Snapshot, after: Snapshot): { harmed: string[], lost: string[] } {
  const names = [...before.keys()]
  const differs = (snapshot: Snapshot, name: string): boolean => snapshot.get(name)!.sha256 !== before.get(name)!.sha256
  const cell = (snapshot: Snapshot, name: string): string => {
    const { amount, sha256 } = snapshot.get(name)!
    return `${differs(snapshot, name) ? '✗' : '✓'} ${sha256.slice(0, 10)} ${amount}`
  }
  const rows = names.map(name => [name, cell(before, name), cell(damaged, name), cell(after, name)])
  table([['', 'before', 'damaged', 'after the restore'], ...rows], text =>
    text.startsWith('✗') ? red(text) : text.startsWith('✓') ? green(text) : text)
  return {
    harmed: names.filter(name => differs(damaged, name)),
    lost: names.filter(name => differs(after, name))
  }
}
