import { readdir, readFile, stat } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import t from 'tap'
import { renderPages } from '../scripts/docs-tables.js'
import { projectFile } from './support/project.js'

const paths = [
  ...[
    'README.md',
    'ARCHITECTURE.md',
    'CONTRIBUTING.md',
    'SECURITY.md',
    'CHANGELOG.md',
    'src/archive/FORMAT.md',
    'src/restore/PROTOCOL.md',
    'src/database/organization/MERGE.md'
  ],
  ...(await readdir(projectFile('docs'), { recursive: true }))
    .filter(name => name.endsWith('.md'))
    .map(name => `docs/${name}`)
]
/** Each page by its path. */
const pages = new Map(
  await Promise.all(paths.map(async path => [path, await readFile(projectFile(path), 'utf8')] as const))
)
const everything = [...pages.values()].join('\n')
const manifest = JSON.parse(await readFile(projectFile('package.json'), 'utf8')) as {
  dependencies: Record<string, string>
  devDependencies: Record<string, string>
  scripts: Record<string, string>
}

t.test('the tables of variables and of errors are what the code says', async t => {
  for (const { path, now, rendered } of await renderPages()) t.equal(now, rendered, `${path}: run npm run docs`)
})

t.test('the README is short, and leads to every page; ARCHITECTURE.md leads to every decision', async t => {
  const readme = pages.get('README.md')!
  t.ok(readme.split('\n').length <= 150)
  for (const path of paths) {
    if (path.startsWith('docs/'))
      t.ok((path.startsWith('docs/decisions/') ? pages.get('ARCHITECTURE.md')! : readme).includes(`](${path})`), path)
  }
})

t.test('the documents name their subjects', async t => {
  for (const [file, text] of [
    ...pages,
    ['openapi/openapi.json', await readFile(projectFile('openapi/openapi.json'), 'utf8')] as const
  ]) {
    if (file === 'CONTRIBUTING.md' || file === 'CHANGELOG.md') continue
    t.same(text.match(/\b(nobody|somebody|whoever|anybody|everybody|someone|anyone)\b.{0,40}/gi) ?? [], [], file)
  }
})

t.test('every file that ARCHITECTURE.md names exists', async t => {
  const text = await readFile(projectFile('ARCHITECTURE.md'), 'utf8')
  const paths = [...text.matchAll(/[`(]((?:src|routes|plugins|test)\/[\w./-]*)[`)]/g)].map(([, path = '']) => path)
  t.ok(paths.length > 30)
  for (const path of paths)
    t.ok(
      await stat(projectFile(path)).then(
        () => true,
        () => false
      ),
      path
    )
})

t.test('every dependency is justified', async t => {
  for (const name of Object.keys({ ...manifest.dependencies, ...manifest.devDependencies })) {
    if (!name.startsWith('@types/')) t.ok(pages.get('docs/dependencies.md')!.includes(`\`${name}\``), name)
  }
})

t.test('every npm script that is named exists', async t => {
  for (const [, name = ''] of everything.matchAll(/npm run (?:--silent )?([a-z:-]+)/g))
    t.ok(name in manifest.scripts, `npm run ${name}`)
})

t.test("git ignores what the commands make in the project's folder", async t => {
  const patterns = (await readFile(projectFile('.gitignore'), 'utf8')).split('\n').filter(line => line !== '')
  const ignored = patterns.map(
    pattern => new RegExp(`^${pattern.replace(/\/$/, '').replaceAll('.', '\\.').replaceAll('*', '.*')}$`)
  )
  const made = [...everything.matchAll(/^ {4}.*(?:>|\s-o|unzip .* -d) ?([\w.$-]+)/gm)].map(([, name = '']) => name)
  for (const name of ['jwt-secret', 'backup-$ID.zip', 'restored']) t.ok(made.includes(name), `a command makes ${name}`)
  for (const name of made)
    t.ok(
      ignored.some(pattern => pattern.test(name)),
      name
    )
})

t.test('every link leads to a file, and to a heading in it', async t => {
  for (const [path, text] of pages) {
    for (const [, target = '', heading] of text.matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)/g)) {
      const file = target === '' ? path : relative('.', join(dirname(path), target))
      const page = await readFile(projectFile(file), 'utf8').catch(() => null)
      t.ok(page !== null, `${path}: ${target}`)
      if (heading !== undefined) t.ok(headings(page ?? '').includes(heading), `${path}: ${target}#${heading}`)
    }
  }
})

/** As links name them. */
function headings(page: string): string[] {
  return [...page.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\w\s-]/g, '')
      .replaceAll(' ', '-')
  )
}

t.test('the image runs the service as npm start does', async t => {
  const dockerfile = await readFile(projectFile('Dockerfile'), 'utf8')
  const [, command] = /^CMD (\[.*\])$/m.exec(dockerfile)!
  t.ok(manifest.scripts.start!.endsWith(` exec ${(JSON.parse(command!) as string[]).join(' ')}`))
})
