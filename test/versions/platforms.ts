import { findServerBinaries } from '../../src/database/postgres-tools.js'
import { runProgram } from '../../src/io/process.js'
import { debianPrograms } from './debian.js'
import { npmServer } from './npm-servers.js'

export interface Programs {
  /** Such as `17.12 (Debian trixie)`. */
  label: string
  major: number
  binDir: string
}

export interface Platforms {
  servers: Programs[]
  clients: Programs[]
  /** What this machine can't have, and why. */
  missing: string[]
}

const supported = [14, 15, 16, 17, 18]
const releases = [
  { release: 'trixie', major: 17 },
  { release: 'forky', major: 18 }
]

/** Every PostgreSQL that this machine has or can fetch: servers, and clients, of which npm has none. */
export async function findPlatforms(): Promise<Platforms> {
  const found: Platforms = { servers: [], clients: [], missing: [] }
  const attempt = async (
    what: string,
    find: () => Promise<string>,
    source: string,
    kinds: Array<'servers' | 'clients'>
  ): Promise<void> => {
    try {
      const binDir = await find()
      for (const kind of kinds) {
        const version = /\s(\d+\S*)/.exec(
          await runProgram(`${binDir}/${kind === 'servers' ? 'postgres' : 'pg_dump'}`, ['--version'])
        )![1]!
        // The machine's own stands for the same minor release from elsewhere.
        if (!found[kind].some(({ label }) => label.startsWith(`${version} `)))
          found[kind].push({ label: `${version} (${source})`, major: Number.parseInt(version, 10), binDir })
      }
    } catch (error) {
      found.missing.push(`${what}: ${(error as Error).message.split('\n')[0]}`)
    }
  }
  await attempt(
    "the machine's own",
    async () => (await findServerBinaries()).initdb.replace(/\/initdb$/, ''),
    'installed',
    ['servers', 'clients']
  )
  for (const { release, major } of releases)
    await attempt(`Debian ${release}`, async () => await debianPrograms(release, major), `Debian ${release}`, [
      'servers',
      'clients'
    ])
  for (const major of supported) await attempt(`npm ${major}`, async () => await npmServer(major), 'npm', ['servers'])
  for (const major of supported.filter(major => !found.clients.some(client => client.major === major)))
    found.missing.push(`client ${major}: neither installed nor in Debian trixie or forky; npm has servers alone`)
  found.servers.sort((a, b) => a.major - b.major)
  found.clients.sort((a, b) => a.major - b.major)
  return found
}
