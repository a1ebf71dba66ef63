import { areInstalled, shell } from './shell.js'
import type { Stage } from './stage.js'

export interface Peer {
  name: string
  /** Backs database and folder up into `target`. `started` is told the process. */
  run(stage: Stage, target: string, started: (pid: number) => void): Promise<void>
}

const candidates: Array<{ name: string; needs: string[]; script: string }> = [
  {
    name: 'pg_dump | gzip, zip -r, sha256sum',
    needs: ['zip', 'gzip', 'sha256sum'],
    script: `
      "$PG_DUMP" --no-owner | gzip > "$TARGET/database.sql.gz"
      cd "$FOLDER" && zip -q -r "$TARGET/backup.zip" . && cd "$TARGET" && zip -q -0 backup.zip database.sql.gz
      rm database.sql.gz && sha256sum backup.zip > backup.sha256`
  },
  {
    name: 'restic (dump by stdin, files)',
    needs: ['restic'],
    script: `
      restic init -q
      "$PG_DUMP" --no-owner | restic backup -q --stdin --stdin-filename database.sql
      restic backup -q "$FOLDER"`
  }
]

/** What people do without us. Only those whose programs are installed. */
export async function installedPeers(): Promise<Peer[]> {
  const peers: Peer[] = []
  for (const { name, needs, script } of candidates) {
    if (!(await areInstalled(...needs))) continue
    peers.push({
      name,
      run: async ({ environment, folder }, target, started) => {
        await shell(script, { ...environment, ...resticEnvironment(target), FOLDER: folder, TARGET: target }, started)
      }
    })
  }
  return peers
}

/** A repository of restic's in the folder, and all that it keeps besides. */
export function resticEnvironment(folder: string): Record<string, string> {
  return { RESTIC_PASSWORD: 'bench', RESTIC_REPOSITORY: `${folder}/restic`, RESTIC_CACHE_DIR: `${folder}/cache` }
}
