import { readFile } from 'node:fs/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { createConfig, lint } from '@redocly/openapi-core'
import t from 'tap'
import { renderFiles } from '../../openapi/render.js'
import { buildTestApp } from '../support/app.js'
import { readOperations } from '../support/operations.js'
import { projectFile } from '../support/project.js'

const folder = pathToFileURL(projectFile('openapi/'))

interface Operation {
  operationId?: string
  summary?: string
  description?: string
  tags?: string[]
  security?: unknown[]
  responses: Record<string, unknown>
}
type Document = { openapi: string, paths: Record<string, Record<string, Operation>> }

t.test('what is committed is what the routes say', async t => {
  for (const { name, content } of await renderFiles()) {
    t.ok(await readFile(new URL(name, folder), 'utf8') === content, `openapi/${name} is up to date; if not: npm run openapi`)
  }
})

t.test('the document passes the linter', async t => {
  // The paths are given: /{backupId}/download beside /jobs/{jobId}; and what needs no token has no 4xx.
  const accepted = ['no-ambiguous-paths', 'operation-4xx-response']
  const problems = await lint({ ref: fileURLToPath(new URL('openapi.json', folder)), config: await createConfig({ extends: ['recommended'] }) })
  t.same(problems.filter(({ ruleId }) => !accepted.includes(ruleId)).map(({ ruleId, message }) => `${ruleId}: ${message}`), [])
  t.ok(problems.filter(({ ruleId }) => ruleId === 'operation-4xx-response').every(({ location }) => location[0]?.pointer?.match(/~1(health~1|openapi\.json)/) !== null))
})

t.test('every operation is described in full', async t => {
  const { app } = await buildTestApp(t)
  const document = (await app.inject({ url: '/openapi.json' })).json<Document>()
  t.equal(document.openapi, '3.1.0')
  const operations = Object.entries(document.paths).flatMap(([path, item]) => Object.values(item).map(operation => ({ path, operation, name: operation.operationId ?? path })))
  t.same(operations.map(({ operation }) => operation.operationId).sort(), [
    'cancelJob', 'checkLiveness', 'checkReadiness', 'createBackup', 'deleteBackup', 'downloadBackup', 'getBackup', 'getJob', 'getOpenApi', 'getTenancy',
    'listBackups', 'listJobs', 'listRestores', 'restoreBackup', 'undoRestore', 'uploadBackup', 'watchJob'
  ])
  for (const { path, operation, name } of operations) {
    t.match(operation, { summary: String, description: String, tags: [String] }, name)
    if (!path.startsWith('/api/backup')) continue
    t.same(operation.security, [{ bearerAuth: [] }], name)
    for (const status of ['400', '401', '403', '429', '500', '503']) t.ok(status in operation.responses, `${name} ${status}`)
  }
})

t.test('Swagger UI sends nothing that its user has not chosen', async t => {
  const { app } = await buildTestApp(t)
  const { operations } = await readOperations(app)
  let optional = 0
  for (const { operationId, parameters, requestBody } of operations) {
    for (const { name, required = false, schema, ...described } of parameters) {
      if (required) continue
      optional += 1
      // Swagger UI puts the first of these into the field, and sends it. A default is what the service takes anyway.
      t.notOk('example' in described || 'examples' in described || 'example' in schema || 'examples' in schema, `${operationId}: ${name} has no example`)
    }
    for (const { schema, ...described } of Object.values(requestBody?.content ?? {})) {
      const shape = schema as { properties?: Record<string, object>, required?: string[] }
      for (const name of examplesOf(described).flatMap(Object.keys)) {
        const property = shape.properties?.[name] ?? {}
        t.ok('default' in property || shape.required?.includes(name), `${operationId}: the example body sends no ${name} that can be left out`)
      }
    }
  }
  t.ok(optional > 8)
})

interface Media { example?: object, examples?: Record<string, { value: object }> }

function examplesOf ({ example, examples = {} }: Media): object[] {
  return [...(example === undefined ? [] : [example]), ...Object.values(examples).map(({ value }) => value)]
}

t.test('Swagger UI comes from this service alone', async t => {
  const { app } = await buildTestApp(t)
  const page = await app.inject({ url: '/docs' })
  t.equal(page.statusCode, 200)
  t.match(page.headers['content-type'], /^text\/html/)
  t.notMatch(page.body, /(src|href)="https?:/)
  const scripts = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path = '']) => new URL(path, 'http://service/docs').pathname)
  t.ok(scripts.length >= 4)
  for (const path of scripts) t.equal((await app.inject({ url: path })).statusCode, 200, path)
  t.equal((await app.inject({ url: '/docs/json' })).statusCode, 200)
})
