import { access } from 'node:fs/promises'
import path from 'node:path'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { toEnvironment, type Connection } from '../src/database/connection.js'

export interface Peer {
  name: string
  /** Backs database and folder up into `target`. `started` is told the process. */
  run (scene: Scene, target: string, started: (pid: number) => void): Promise<void>
}

export interface Scene { connection: Connection, folder: string, pgDump: string }

/** What people do without us. Only those whose programs are installed. */
export async function installedPeers (): Promise<Peer[]> {
  const peers: Array<Peer & { needs: string[] }> = [
    {
      name: 'pg_dump | gzip, zip -r, sha256sum',
      needs: ['zip', 'gzip', 'sha256sum'],
      run: async (scene, target, started) => {
        await shell(scene, started, `set -eo pipefail
        "$PG_DUMP" --no-owner | gzip > "$TARGET/database.sql.gz"
        cd "$FOLDER" && zip -q -r "$TARGET/backup.zip" . && cd "$TARGET" && zip -q -0 backup.zip database.sql.gz
        rm database.sql.gz && sha256sum backup.zip > backup.sha256`, target)
      }
    },
    {
      name: 'restic (dump by stdin, files)',
      needs: ['restic'],
      run: async (scene, target, started) => {
        await shell(scene, started, `set -eo pipefail
        export RESTIC_PASSWORD=bench RESTIC_REPOSITORY="$TARGET/restic" RESTIC_CACHE_DIR="$TARGET/cache"
        restic init -q
        "$PG_DUMP" --no-owner | restic backup -q --stdin --stdin-filename database.sql
        restic backup -q "$FOLDER"`, target)
      }
    }
  ]
  const found: Peer[] = []
  for (const peer of peers) {
    const there = await Promise.all(peer.needs.map(isInstalled))
    if (there.every(Boolean)) found.push(peer)
  }
  return found
}

/** The peers are shell commands, as people write them; every value reaches them by the environment. */
async function shell ({ connection, folder, pgDump }: Scene, started: (pid: number) => void, script: string, target: string): Promise<void> {
  const child = spawn('/bin/bash', ['-c', script], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { PATH: process.env.PATH, HOME: target, ...toEnvironment(connection), PG_DUMP: pgDump, FOLDER: folder, TARGET: target }
  })
  started(child.pid!)
  const [code] = await once(child, 'exit') as [number | null]
  if (code !== 0) throw new Error(`A peer ended with ${code}.`)
}

async function isInstalled (program: string): Promise<boolean> {
  for (const folder of (process.env.PATH ?? '').split(':')) {
    if (await access(path.join(folder, program)).then(() => true, () => false)) return true
  }
  return false
}
