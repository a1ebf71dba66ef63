import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { createConfig, lint } from '@redocly/openapi-core'
import t from 'tap'
import { renderFiles } from '../../openapi/render.js'
import { buildTestApp } from '../support/app.js'

const folder = new URL('../../openapi/', import.meta.url)

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
