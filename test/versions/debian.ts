import { chmod, mkdir, readdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { exists } from '../../src/io/exists.js'
import { runProgram } from '../../src/io/process.js'
import { cached, fetchEnvironment } from './cache.js'

/**
 * The libraries that server and client need; nothing that only an installation does, and not the compiler of the
 * server's JIT.
 */
const needed = /^(?:lib.+|zlib1g|postgresql(?:-client)?-\d+)$/
const unneeded =
  /^lib(?:llvm|z3|.*perl|systemd-shared|sem|sepol|audit|pam-|db5|gdbm|debconf|bsd|c-bin|c-l10n|c-gconv|text)/
const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'
const programs = ['initdb', 'pg_ctl', 'postgres', 'pg_dump', 'psql', 'pg_config', 'pg_basebackup']

/**
 * PostgreSQL out of a Debian release, unpacked beside the machine's own system: apt is told of another state than the
 * machine's, and each program runs with the release's own libraries.
 * @returns the folder of the programs
 * @throws when this machine has no apt, or can't reach the packages
 */
export async function debianPrograms(release: string, major: number): Promise<string> {
  const folder = await cached(`debian-${release}`, async folder => {
    await chmod(folder, 0o755)
    await unpack(release, major, folder)
    await wrap(folder, major)
  })
  const binDir = binDirOf(folder, major)
  // The wrappers name their place.
  await wrap(folder, major)
  return binDir
}

function binDirOf(folder: string, major: number): string {
  return join(folder, 'root', 'usr', 'lib', 'postgresql', String(major), 'bin')
}

async function unpack(release: string, major: number, folder: string): Promise<void> {
  const [state, packages, root] = [join(folder, 'apt'), join(folder, 'packages'), join(folder, 'root')]
  for (const path of [join(state, 'lists', 'partial'), join(state, 'archives', 'partial'), packages, root])
    await mkdir(path, { recursive: true, mode: 0o755 })
  const [sources, status] = [join(state, 'sources.list'), join(state, 'status')]
  await writeFile(sources, `deb [signed-by=${keyring}] http://deb.debian.org/debian ${release} main\n`)
  await writeFile(status, '')
  const apt = async (...args: string[]): Promise<string> =>
    await runProgram(
      'apt-get',
      [
        '-qq',
        '-o',
        `Dir::State=${state}`,
        '-o',
        `Dir::State::status=${status}`,
        '-o',
        `Dir::Cache=${state}`,
        '-o',
        `Dir::Etc::sourcelist=${sources}`,
        '-o',
        'Dir::Etc::sourceparts=/nonexistent',
        '-o',
        'APT::Sandbox::User=',
        '-o',
        'Debug::NoLocking=true',
        ...args
      ],
      { env: fetchEnvironment(), cwd: packages }
    )
  await apt('update')
  const uris = await apt(
    '--print-uris',
    '--no-install-recommends',
    'install',
    `postgresql-${major}`,
    `postgresql-client-${major}`
  )
  const names = [...uris.matchAll(/^'[^']*' ([^_\s]+)_/gm)].map(([, name = '']) => name)
  await apt('download', ...names.filter(name => needed.test(name) && !unneeded.test(name)))
  for (const file of await readdir(packages)) await runProgram('dpkg', ['-x', join(packages, file), root])
}

/** Each program's own dynamic linker finds the release's libraries; what stands under the program's name starts it. */
async function wrap(folder: string, major: number): Promise<void> {
  const binDir = binDirOf(folder, major)
  const real = join(binDir, 'real')
  await mkdir(real, { recursive: true, mode: 0o755 })
  for (const name of programs) {
    const [wrapper, program] = [join(binDir, name), join(real, name)]
    if (!(await exists(program))) await rename(wrapper, program)
    const linker = join(folder, 'root', 'usr', 'lib64', 'ld-linux-x86-64.so.2')
    const libraries = join(folder, 'root', 'usr', 'lib', 'x86_64-linux-gnu')
    await writeFile(
      wrapper,
      `#!/bin/sh\nexec '${linker}' --library-path '${libraries}' --argv0 '${wrapper}' '${program}' "$@"\n`
    )
    await chmod(wrapper, 0o755)
  }
}
