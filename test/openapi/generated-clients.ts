import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { createClient as generateHeyApi } from '@hey-api/openapi-ts'
import { build } from 'esbuild'
import { generateSource } from 'oazapfts'
import openapiTS, { astToString } from 'openapi-typescript'
import { generateApi } from 'swagger-typescript-api'
import t from 'tap'
import ts from 'typescript'
import { buildTestApp } from '../support/app.js'
import { projectFile } from '../support/project.js'
import type { Steps } from '../fixtures/clients/steps.js'

const names = ['openapi-typescript', 'hey-api', 'swagger-typescript-api', 'oazapfts']
const document = projectFile('openapi/openapi.json')

/**
 * Each generator as people run it; the first with --default-non-nullable=false, so that what has a default need not be
 * sent.
 */
async function generate(folder: string): Promise<void> {
  const parsed = async () => JSON.parse(await readFile(document, 'utf8')) as object
  await mkdir(folder)
  await writeFile(
    join(folder, 'openapi-typescript.d.ts'),
    astToString(await openapiTS((await parsed()) as Parameters<typeof openapiTS>[0], { defaultNonNullable: false }))
  )
  await generateHeyApi({
    input: (await parsed()) as never,
    output: join(folder, 'hey-api'),
    plugins: ['@hey-api/client-fetch'],
    logs: { level: 'silent', file: false }
  })
  const { files } = await generateApi({ spec: await parsed(), output: false, httpClientType: 'fetch', silent: true })
  await writeFile(join(folder, 'swagger-typescript-api.ts'), files[0]!.fileContent)
  await writeFile(join(folder, 'oazapfts.ts'), await generateSource(document))
}

/** What a compiler says of all of them, in one program. */
function compile(folder: string): string[] {
  const program = ts.createProgram(
    names.map(name => join(folder, `${name}.ts`)),
    {
      noEmit: true,
      strict: true,
      skipLibCheck: true,
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.ESNext,
      moduleResolution: ts.ModuleResolutionKind.Bundler,
      lib: ['lib.es2022.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts'],
      types: []
    }
  )
  return ts
    .getPreEmitDiagnostics(program)
    .map(({ file, messageText }) => `${file?.fileName ?? ''}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`)
}

t.test('clients of four generators compile strictly and do the whole job', async t => {
  // Inside the project, so that what they import is found.
  const folder = await mkdtemp(projectFile('build/clients-'))
  t.teardown(async () => {
    await rm(folder, { recursive: true })
  })
  await cp(projectFile('test/fixtures/clients'), folder, { recursive: true })
  await generate(join(folder, 'generated'))
  t.same(compile(folder), [])
  await build({
    entryPoints: names.map(name => join(folder, `${name}.ts`)),
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    format: 'esm',
    platform: 'node',
    packages: 'external',
    logLevel: 'silent'
  })

  const { app, token, uploadDir } = await buildTestApp(t)
  await mkdir(join(uploadDir, 'acme'))
  await writeFile(join(uploadDir, 'acme', 'manual.pdf'), 'a manual')
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  for (const name of names) {
    const { connect } = (await import(pathToFileURL(join(folder, `${name}.mjs`)).href)) as {
      connect: (baseUrl: string, token: string) => Steps
    }
    const client = connect(address, token())
    const id = await client.create(`By ${name}`)
    t.ok((await client.createInBackground()) > 0, `${name}: a job`)
    t.ok((await client.list()).includes(id), `${name}: list`)
    t.same([await client.restore(id, true), await client.restore(id, false)], [true, false], `${name}: restore`)
    const archive = await client.download(id)
    t.equal(await client.remove(id), id, `${name}: delete`)
    t.equal(await client.upload(archive), id, `${name}: upload`)
    t.equal(await client.failure(), 'BACKUP_NOT_FOUND', `${name}: errors`)
  }
})
