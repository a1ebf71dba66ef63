import { chmod, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import t, { type Test } from 'tap'
import { projectFile } from '../support/project.js'

/** A program that a shell runs. */
async function program(file: string, script: string): Promise<void> {
  await writeFile(file, `#!/bin/sh\n${script}\n`)
  await chmod(file, 0o755)
}

/**
 * A copy of the project without packages, on a machine whose Node.js says that it is `version`. Its npm notes what it
 * is asked for; `npm ci` removes node_modules/.bin as the real one does, and `npm install` puts `installed` there, a
 * Node.js too.
 */
async function machine(t: Test, { version, installed }: { version: string; installed: string }) {
  const folder = t.testdir({ scripts: {}, bin: {}, node_modules: { '.bin': {} } })
  for (const file of ['scripts/setup.sh', 'package.json', 'package-lock.json'])
    await copyFile(projectFile(file), join(folder, file))
  const bin = join(folder, 'bin')
  const fake = (version: string) =>
    `export NODE_OPTIONS="--require=${folder}/${version}.cjs"\nexec ${process.execPath} "$@"`
  for (const faked of [version, installed]) {
    await writeFile(
      join(folder, `${faked}.cjs`),
      `
      Object.defineProperty(process, 'version', { value: 'v${faked}' })
      Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${faked}' } })
    `
    )
  }
  await program(join(bin, 'node'), fake(version))
  await program(join(folder, 'newer-node'), fake(installed))
  await program(
    join(bin, 'npm'),
    `
    echo "$*" >> ${folder}/asked
    case $1 in
      ci) rm -rf node_modules; mkdir -p node_modules/.bin; cp package-lock.json node_modules/.package-lock.json ;;
      install) cp ${folder}/newer-node node_modules/.bin/node ;;
    esac`
  )
  // What the machine of the tests has or lacks of these must not matter.
  await mkdir(join(folder, 'postgres'))
  for (const name of ['initdb', 'pg_ctl', 'postgres', 'pg_dump', 'psql'])
    await program(join(folder, 'postgres', name), 'exit 1')
  await program(join(bin, 'unzip'), 'exit 1')
  // Root gets optional packages too.
  await program(join(bin, 'id'), 'echo 1000')
  return {
    setup: async () =>
      await execa('sh', [join(folder, 'scripts/setup.sh')], {
        env: { PATH: `${bin}:/usr/bin:/bin`, PG_BIN_DIR: join(folder, 'postgres') },
        extendEnv: false,
        reject: false
      }),
    asked: async () => (await readFile(join(folder, 'asked'), 'utf8')).trimEnd().split('\n')
  }
}

t.test('installs a newer Node.js where that of the machine is too old, after npm ci, which removes it', async t => {
  const { setup, asked } = await machine(t, { version: '20.20.2', installed: '24.21.0' })
  const { stdout, exitCode } = await setup()
  t.equal(exitCode, 0)
  t.match(stdout, /Node\.js v20\.20\.2 is too old/)
  t.match(stdout, /npm ci.*a minute or more.*says nothing/, 'a silent minute is told beforehand')
  const [ci, install, ...more] = await asked()
  t.match(ci, /^ci .*--loglevel=error/, 'without the warning EBADENGINE, which the newer Node.js makes needless')
  t.match(install, /^install --no-save .*node-\S+@24$/)
  t.same(more, [])
  t.match((await setup()).stdout, 'nothing missing')
  t.equal((await asked()).length, 2, 'the second time it is there')
})

t.test('leaves a supported Node.js as it is', async t => {
  for (const version of ['22.12.0', '24.0.0', '26.1.0']) {
    const { setup, asked } = await machine(t, { version, installed: '24.21.0' })
    t.equal((await setup()).exitCode, 0, version)
    t.equal((await asked()).length, 1, `${version}: npm ci alone`)
  }
})

t.test('says what to do where the installed Node.js does not help', async t => {
  const { setup } = await machine(t, { version: '22.11.0', installed: '22.11.0' })
  const { stderr, exitCode } = await setup()
  t.equal(exitCode, 1)
  t.match(stderr, /Install Node\.js 24/)
})
