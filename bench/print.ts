import { loadavg } from 'node:os'
import { machine } from './measure.js'

type Cells = Record<string, string | number>

export interface Findings {
  title: string
  /** What `--json` prints, beside the machine and its load. */
  data: Record<string, unknown>
  tables: Array<{ caption?: string; rows: Array<[name: string, cells: Cells]> }>
}

/** Prints what a benchmark found, for people or for programs. */
export function print({ title, data, tables }: Findings, { json }: { json: boolean }): void {
  const load = loadavg().map(value => Number(value.toFixed(1)))
  if (json) {
    console.log(JSON.stringify({ machine, load, ...data }, null, 2))
    return
  }
  console.log(`${title}\n${machine}; load average at the end ${load.join(' ')}.`)
  for (const { caption, rows } of tables) {
    if (caption !== undefined) console.log(`\n${caption}`)
    console.table(Object.fromEntries(rows))
  }
}

export const inSeconds = (ms: number): string => (ms / 1000).toFixed(2)
export const inMegabytes = (bytes: number): string => (bytes / 1e6).toFixed(1)
export const inPercent = (share: number): string => `${(share * 100).toFixed(1)} %`
