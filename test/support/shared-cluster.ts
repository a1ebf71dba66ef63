import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { createCluster, removeCluster, startClusterServer } from './cluster.js'
import type { ClusterFiles } from './cluster.js'

/**
 * One cluster serves one run of tap. The before script, every test file and the after script of a run are children of
 * the same runner, so its pid is the name of the run: runs at the same time never share or stop each other's cluster.
 * A run that was killed leaves its cluster behind; the next run removes it, since no process has that pid any more.
 */
const project = createHash('sha256').update(process.cwd()).digest('hex').slice(0, 8)
const prefix = `dab-test-${userInfo().username}-${project}-`
const recordOf = (runner: number | string): string => join(tmpdir(), `${prefix}${runner}.json`)

/** The cluster of this run; the first to ask starts it. */
export async function sharedCluster(): Promise<ClusterFiles> {
  const record = recordOf(process.ppid)
  for (;;) {
    const known = await readRecord(record)
    if (known !== null) return known
    // A folder can be made by one process only.
    const ours = await mkdir(`${record}.lock`).then(
      () => true,
      () => false
    )
    if (ours) break
    await setTimeout(50)
  }
  try {
    const known = await readRecord(record)
    if (known !== null) return known
    const files = await createCluster()
    await startClusterServer(files)
    await writeFile(`${record}.new`, JSON.stringify(files), { mode: 0o600 })
    await rename(`${record}.new`, record)
    return files
  } finally {
    await rm(`${record}.lock`, { recursive: true })
  }
}

/** Stops and removes the cluster of that runner, if there is one. */
export async function removeSharedCluster(runner: number | string = process.ppid): Promise<void> {
  const files = await readRecord(recordOf(runner))
  if (files !== null) await removeCluster(files)
  await rm(recordOf(runner), { force: true })
}

/** Removes what killed runs left behind. */
export async function removeAbandonedClusters(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const runner = name.startsWith(prefix) ? /^(\d+)\.json/.exec(name.slice(prefix.length))?.[1] : undefined
    if (runner === undefined || isAlive(Number(runner))) continue
    await removeSharedCluster(runner)
    await rm(`${recordOf(runner)}.lock`, { recursive: true, force: true })
  }
}

async function readRecord(path: string): Promise<ClusterFiles | null> {
  const text = await readFile(path, 'utf8').catch(() => null)
  if (text === null) return null
  // Only our own record is believed: it says which folder to remove.
  if (process.getuid !== undefined && (await stat(path)).uid !== process.getuid())
    throw new Error(`${path} is not ours`)
  return JSON.parse(text) as ClusterFiles
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
