import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, readdir, stat } from 'node:fs/promises'
import path from 'node:path'

/**
 * Runs a shell script as people write them. Every value reaches it by the environment; `started` is told the process.
 */
export async function shell(
  script: string,
  environment: Record<string, string>,
  started: (pid: number) => void = () => {}
): Promise<void> {
  const child = spawn('/bin/bash', ['-c', `set -eo pipefail\n${script}`], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { PATH: process.env.PATH, ...environment }
  })
  started(child.pid!)
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) throw new Error(`A peer ended with ${code}.`)
}

export async function areInstalled(...programs: string[]): Promise<boolean> {
  for (const program of programs) {
    const folders = (process.env.PATH ?? '').split(':')
    const found = await Promise.all(
      folders.map(folder =>
        access(path.join(folder, program)).then(
          () => true,
          () => false
        )
      )
    )
    if (!found.includes(true)) return false
  }
  return true
}

export async function folderBytes(folder: string): Promise<number> {
  let bytes = 0
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += (await stat(path.join(entry.parentPath, entry.name))).size
  }
  return bytes
}
