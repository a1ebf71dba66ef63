import { readdir, readFile, stat } from 'node:fs/promises'
import t, { type Test } from 'tap'
import { statusOf } from '../plugins/error-status.js'
import { Environment, type Variable } from '../src/environment.js'
import { errorCatalogue, type ErrorCode } from '../src/errors.js'
import { projectFile } from './support/project.js'

const readme = await readFile(projectFile('README.md'), 'utf8')
const manifest = JSON.parse(await readFile(projectFile('package.json'), 'utf8')) as {
  dependencies: Record<string, string>
  devDependencies: Record<string, string>
  scripts: Record<string, string>
}

function has (t: Test, row: string): void {
  t.ok(readme.includes(row), `README.md has: ${row}`)
}

t.test('every error code is documented with its status and remedy', async t => {
  for (const [code, remedy] of Object.entries(errorCatalogue)) {
    has(t, `| \`${code}\` | ${statusOf[code as ErrorCode]} | ${remedy} |`)
  }
})

t.test('every variable is documented with its default and meaning', async t => {
  for (const [name, { default: fallback, description, secret }] of Object.entries(Environment.properties as unknown as Record<string, Variable>)) {
    has(t, `| \`${name}\`${secret === true ? ' *' : ''} | ${fallback === undefined ? '' : `\`${String(fallback)}\``} | ${description} |`)
  }
})

t.test('the documents name their subjects', async t => {
  for (const file of ['README.md', 'ARCHITECTURE.md', 'src/archive/FORMAT.md', 'src/restore/PROTOCOL.md', 'openapi/openapi.json', ...(await readdir(projectFile('docs'))).map(name => `docs/${name}`)]) {
    const text = await readFile(projectFile(file), 'utf8')
    t.same(text.match(/\b(nobody|somebody|whoever|anybody|everybody|someone|anyone)\b.{0,40}/gi) ?? [], [], file)
  }
})

t.test('every file that ARCHITECTURE.md names exists', async t => {
  const text = await readFile(projectFile('ARCHITECTURE.md'), 'utf8')
  const paths = [...text.matchAll(/[`(]((?:src|routes|plugins|test)\/[\w./-]*)[`)]/g)].map(([, path = '']) => path)
  t.ok(paths.length > 30)
  for (const path of paths) t.ok(await stat(projectFile(path)).then(() => true, () => false), path)
})

t.test('every dependency is justified', async t => {
  for (const name of Object.keys({ ...manifest.dependencies, ...manifest.devDependencies })) {
    if (!name.startsWith('@types/')) has(t, `\`${name}\``)
  }
})

t.test('every npm script that is named exists', async t => {
  for (const [, name = ''] of readme.matchAll(/npm run (?:--silent )?([a-z:-]+)/g)) t.ok(name in manifest.scripts, `npm run ${name}`)
})

t.test('git ignores what the commands make in the project\'s folder', async t => {
  const patterns = (await readFile(projectFile('.gitignore'), 'utf8')).split('\n').filter(line => line !== '')
  const ignored = patterns.map(pattern => new RegExp(`^${pattern.replace(/\/$/, '').replaceAll('.', '\\.').replaceAll('*', '.*')}$`))
  const made = [...readme.matchAll(/^ {4}.*(?:>|\s-o|unzip .* -d) ?([\w.$-]+)/gm)].map(([, name = '']) => name)
  for (const name of ['jwt-secret', 'backup-$ID.zip', 'restored']) t.ok(made.includes(name), `the README makes ${name}`)
  for (const name of made) t.ok(ignored.some(pattern => pattern.test(name)), name)
})

t.test('every link into the repository leads somewhere', async t => {
  for (const [, target = ''] of readme.matchAll(/\]\((?!https?:|#)([^)]+)\)/g)) {
    await t.resolves(readFile(projectFile(target)), target)
  }
})

t.test('the image runs the service as npm start does', async t => {
  const dockerfile = await readFile(projectFile('Dockerfile'), 'utf8')
  const [, command] = /^CMD (\[.*\])$/m.exec(dockerfile)!
  t.ok(manifest.scripts.start!.endsWith(` exec ${(JSON.parse(command!) as string[]).join(' ')}`))
})
