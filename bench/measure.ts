import { readdir, readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { setTimeout } from 'node:timers/promises'

export interface Measured {
  wallMs: number
  /** CPU seconds of the whole machine meanwhile, PostgreSQL's included; null where /proc/stat is not there. */
  cpuSeconds: number | null
  /** The most memory that was seen resident at once; null where /proc is not there. */
  peakBytes: number | null
}

const ticksPerSecond = 100
const pollMs = 20

/** Runs `work` and asks every few milliseconds how much memory it takes. */
export async function measure(work: () => Promise<unknown>, residentBytes: () => Promise<number>): Promise<Measured> {
  let running = true
  let peak = 0
  const watching = (async () => {
    while (running) {
      peak = Math.max(peak, await residentBytes())
      await setTimeout(pollMs)
    }
  })()
  const cpuBefore = await busySeconds()
  const wallMs = await timed(work).finally(() => {
    running = false
  })
  const cpuAfter = await busySeconds()
  await watching
  return {
    wallMs,
    cpuSeconds: cpuBefore === null || cpuAfter === null ? null : cpuAfter - cpuBefore,
    peakBytes: peak === 0 ? null : peak
  }
}

/** @returns wall time in ms */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return performance.now() - started
}

async function busySeconds(): Promise<number | null> {
  const stat = await readFile('/proc/stat', 'utf8').catch(() => null)
  if (stat === null) return null
  const [user, nice, system, , , irq, softirq] = stat.split('\n')[0]!.split(/\s+/).slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number
  ]
  return (user + nice + system + irq + softirq) / ticksPerSecond
}

/** Memory of a process and all that it has started. */
export async function treeBytes(root: number): Promise<number> {
  const parents = new Map<number, number>()
  for (const name of await readdir('/proc').catch(() => [])) {
    if (!/^\d+$/.test(name)) continue
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => null)
    if (stat !== null) parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]))
  }
  const isInTree = (pid: number): boolean => pid === root || (parents.has(pid) && isInTree(parents.get(pid)!))
  let bytes = 0
  for (const pid of parents.keys()) {
    if (isInTree(pid)) bytes += await processBytes(pid)
  }
  return bytes
}

export async function processBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export const machine = `${availableParallelism()} cores, Node ${process.versions.node}`

/** In the unit of what was measured. */
export interface Distribution {
  count: number
  p50: number
  p99: number
  max: number
}

export function distribution(values: number[]): Distribution {
  const sorted = Float64Array.from(values).sort()
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) }
}
