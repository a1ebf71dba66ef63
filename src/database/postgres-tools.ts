import { access, constants, readdir, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '../errors.js'
import { runProgram } from '../io/process.js'

/** The client programs; absolute paths. */
export interface PostgresTools {
  pgDump: string
  psql: string
  /** As pg_dump tells it, such as "15.18". */
  version: string
  major: number
  /** Of the server that they are for, which may be older. */
  serverMajor: number
}

/** The programs that make and run a cluster; absolute paths. */
export interface ServerBinaries {
  initdb: string
  pgCtl: string
  postgres: string
  major: number
}

interface Installation {
  binDir: string
  version: string
  major: number
}

/** Folders that hold one folder for each major version: Debian, Red Hat, Homebrew on both architectures. */
const versioned = [
  { folder: '/usr/lib/postgresql', name: /^\d+$/ },
  { folder: '/usr', name: /^pgsql-\d+$/ },
  { folder: '/opt/homebrew/opt', name: /^postgresql@\d+$/ },
  { folder: '/usr/local/opt', name: /^postgresql@\d+$/ }
]
const unversioned = [
  '/opt/homebrew/opt/libpq/bin',
  '/usr/local/opt/libpq/bin',
  '/opt/homebrew/bin',
  '/usr/local/pgsql/bin',
  '/usr/local/bin',
  '/usr/bin'
]

/**
 * pg_dump and psql for a server: those of `binDir` when they fit, else of the server's own major version, else the
 * next newer. An older pg_dump refuses a newer server.
 * @throws AppError DATABASE_TOOLS_MISSING
 */
export async function findPostgresTools({
  binDir = null,
  serverMajor
}: {
  binDir?: string | null
  serverMajor: number
}): Promise<PostgresTools> {
  const found = await installations(binDir, 'pg_dump', ['pg_dump', 'psql'])
  const fitting = found.filter(({ major }) => major >= serverMajor)
  const chosen = fitting.find(installation => installation.binDir === binDir) ?? fitting.at(0)
  if (chosen === undefined) {
    throw new AppError(
      'DATABASE_TOOLS_MISSING',
      found.length === 0 ? 'client-tools-missing' : 'client-tools-too-old',
      found.length === 0
        ? `pg_dump and psql were not found; PostgreSQL ${serverMajor} needs version ${serverMajor} or newer.`
        : `pg_dump is too old: the server is PostgreSQL ${serverMajor}, found ${versions(found)}.`,
      {
        remedy: `Install the PostgreSQL client ${serverMajor} or newer (Debian: apt-get install postgresql-client-${serverMajor}), or set PG_BIN_DIR to the folder that holds it.`
      }
    )
  }
  return {
    pgDump: join(chosen.binDir, 'pg_dump'),
    psql: join(chosen.binDir, 'psql'),
    version: chosen.version,
    major: chosen.major,
    serverMajor
  }
}

/**
 * The server's programs: of exactly `major` when it is given, else those of `binDir`, else the newest.
 * @throws AppError DATABASE_TOOLS_MISSING
 */
export async function findServerBinaries({
  binDir = null,
  major
}: { binDir?: string | null; major?: number } = {}): Promise<ServerBinaries> {
  const found = await installations(binDir, 'postgres', ['initdb', 'pg_ctl', 'postgres'])
  const fitting = found.filter(installation => major === undefined || installation.major === major)
  const chosen = fitting.find(installation => installation.binDir === binDir) ?? fitting.at(-1)
  if (chosen === undefined) {
    throw new AppError(
      'DATABASE_TOOLS_MISSING',
      found.length === 0 ? 'server-programs-missing' : 'server-version-missing',
      found.length === 0
        ? 'No PostgreSQL server is installed.'
        : `The cluster was made by PostgreSQL ${major}, which is not installed; found ${versions(found)}.`,
      {
        remedy:
          found.length > 0
            ? `Upgrade the data folder as docs/upgrade-postgresql.md says: make a backup with the image or PostgreSQL ${major} that ran so far, then restore it with this one. Or set PG_BIN_DIR to the folder of a PostgreSQL ${major} (Debian releases that have it: apt-get install postgresql-${major}).`
            : `Install PostgreSQL's server (scripts/setup.sh, or on Debian: apt-get install postgresql${major === undefined ? '' : `-${major}`}), or set PG_BIN_DIR to the folder that holds it.`
      }
    )
  }
  const program = (name: string): string => join(chosen.binDir, name)
  return { initdb: program('initdb'), pgCtl: program('pg_ctl'), postgres: program('postgres'), major: chosen.major }
}

function versions(found: Installation[]): string {
  return [...new Set(found.map(({ version }) => version))].join(', ')
}

/** What is installed and runs, oldest first; each once, though links lead to it from several folders. */
async function installations(binDir: string | null, program: string, needed: string[]): Promise<Installation[]> {
  const candidates = [
    ...(binDir === null ? [] : [binDir]),
    ...(await versionedFolders()),
    ...(await configuredFolders()),
    ...unversioned
  ]
  const found = new Map<string, Installation>()
  for (const folder of candidates) {
    if (!(await holdsAll(folder, needed))) continue
    const file = join(folder, program)
    const target = await realpath(file)
    if (found.has(target)) continue
    const version = /\s(\d+[\w.]*)/.exec(await askProgram(file, '--version'))?.[1]
    if (version !== undefined) found.set(target, { binDir: folder, version, major: Number.parseInt(version, 10) })
  }
  return [...found.values()].sort((a, b) => a.major - b.major)
}

async function versionedFolders(): Promise<string[]> {
  const found: string[] = []
  for (const { folder, name } of versioned) {
    const entries = await readdir(folder).catch(() => [])
    found.push(...entries.filter(entry => name.test(entry)).map(entry => join(folder, entry, 'bin')))
  }
  return found
}

async function configuredFolders(): Promise<string[]> {
  const answers = await Promise.all(unversioned.map(folder => askProgram(join(folder, 'pg_config'), '--bindir')))
  return answers.filter(answer => answer !== '')
}

const asked = new Map<string, { file: string; answer: string }>()

/**
 * What an installed program says of itself; nothing when it is not there or does not run. Asked again only when another
 * file is in its place: to start a program holds up every request, and this is looked for at each backup and restore.
 */
async function askProgram(path: string, question: '--version' | '--bindir'): Promise<string> {
  const found = await stat(path).catch(() => null)
  if (found === null) return ''
  const file = `${found.dev} ${found.ino} ${found.size} ${found.mtimeMs} ${found.ctimeMs}`
  const known = asked.get(path)
  if (known?.file === file) return known.answer
  const answer = await runProgram(path, [question]).catch(() => '')
  if (answer !== '') asked.set(path, { file, answer })
  return answer
}

async function holdsAll(folder: string, programs: string[]): Promise<boolean> {
  for (const program of programs) {
    const file = join(folder, program)
    const executable = await access(file, constants.X_OK).then(
      () => true,
      () => false
    )
    // Debian's /usr/bin ones are a wrapper that chooses a version by the user's own configuration.
    if (!executable || (await realpath(file)).endsWith('/pg_wrapper')) return false
  }
  return true
}
