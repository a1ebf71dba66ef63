import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { createConfig, lint } from '@redocly/openapi-core'
import { Ajv2020 } from 'ajv/dist/2020.js'
import t from 'tap'
import { renderFiles } from '../../openapi/render.js'
import { buildTestApp } from '../support/app.js'
import { statusOf } from '../../plugins/error-status.js'
import type { ErrorResponse } from '../../routes/schemas/error.js'
import { errorCatalogue, type ErrorCode } from '../../src/errors.js'
import { fillPath, readOperations, type Operation as Described } from '../support/operations.js'
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
type Document = { openapi: string; paths: Record<string, Record<string, Operation>> }

t.test('what is committed is what the routes say', async t => {
  for (const { name, content } of await renderFiles()) {
    t.ok(
      (await readFile(new URL(name, folder), 'utf8')) === content,
      `openapi/${name} is up to date; if not: npm run openapi`
    )
  }
})

t.test('the document passes the linter', async t => {
  // The paths are given: /{backupId}/download beside /jobs/{jobId}; and what needs no token has no 4xx.
  const accepted = ['no-ambiguous-paths', 'operation-4xx-response']
  const problems = await lint({
    ref: fileURLToPath(new URL('openapi.json', folder)),
    config: await createConfig({ extends: ['recommended'] })
  })
  t.same(
    problems.filter(({ ruleId }) => !accepted.includes(ruleId)).map(({ ruleId, message }) => `${ruleId}: ${message}`),
    []
  )
  t.ok(
    problems
      .filter(({ ruleId }) => ruleId === 'operation-4xx-response')
      .every(({ location }) => location[0]?.pointer?.match(/~1(health~1|openapi\.json)/) !== null)
  )
})

t.test('every operation is described in full', async t => {
  const { app } = await buildTestApp(t)
  const document = (await app.inject({ url: '/openapi.json' })).json<Document>()
  t.equal(document.openapi, '3.1.0')
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.values(item).map(operation => ({ path, operation, name: operation.operationId ?? path }))
  )
  t.same(operations.map(({ operation }) => operation.operationId).sort(), [
    'cancelJob',
    'checkLiveness',
    'checkReadiness',
    'createBackup',
    'deleteBackup',
    'downloadBackup',
    'getBackup',
    'getJob',
    'getOpenApi',
    'getTenancy',
    'listBackups',
    'listJobs',
    'listRestores',
    'restoreBackup',
    'undoRestore',
    'uploadBackup',
    'watchJob'
  ])
  for (const { path, operation, name } of operations) {
    t.match(operation, { summary: String, description: String, tags: [String] }, name)
    if (!path.startsWith('/api/backup')) continue
    t.same(operation.security, [{ bearerAuth: [] }], name)
    for (const status of ['400', '401', '403', '429', '500', '503'])
      t.ok(status in operation.responses, `${name} ${status}`)
  }
})

t.test('each error that an operation answers has true examples', async t => {
  const { app, as } = await buildTestApp(t)
  const { document, operations } = await readOperations(app)
  const ajv = new Ajv2020({ strict: false })
  ajv.addSchema(document, 'api')
  const check = ajv.compile({ $ref: 'api#/components/schemas/ErrorResponse' })
  let examples = 0
  for (const { operationId, responses } of operations) {
    for (const [status, { content }] of Object.entries(responses).filter(([status]) => Number(status) >= 400)) {
      const answers = Object.entries(content?.['application/json']?.examples ?? {})
      t.ok(answers.length > 0, `${operationId} ${status} has an example`)
      for (const [name, { value }] of answers) {
        examples += 1
        const { code, statusCode, remedy } = value as ErrorResponse
        t.ok(
          check(value) &&
            code === name &&
            statusCode === Number(status) &&
            statusOf[code] === statusCode &&
            remedy !== undefined,
          `${operationId} ${status} ${name}`
        )
      }
    }
  }
  t.comment(`${examples} examples`)

  const exampleOf = ({ responses }: Described, status: number, code: ErrorCode): object | undefined =>
    responses[status]?.content?.['application/json']?.examples?.[code]?.value
  const ids = { backupId: randomUUID(), restoreId: randomUUID(), jobId: randomUUID() }
  for (const operation of operations.filter(({ isPublic }) => !isPublic)) {
    const { operationId, method, path } = operation
    const url = fillPath(path, ids)
    const ask = async (url: string, headers: object, payload?: object): Promise<object> =>
      (await app.inject({ method, url, headers: { ...headers }, payload })).json<object>()
    t.same(await ask(url, {}), exampleOf(operation, 401, 'UNAUTHORIZED'), `${operationId} without a token`)
    t.same(await ask(url, as('VIEWER')), exampleOf(operation, 403, 'FORBIDDEN'), `${operationId} as no OWNER`)
    const invalid = exampleOf(operation, 400, 'VALIDATION_FAILED') as ErrorResponse
    const [place = '', field = ''] = invalid.errors?.[0]?.field?.split('.') ?? []
    const refused =
      place === 'params'
        ? await ask(fillPath(path, { ...ids, [field]: 'x' }), as())
        : place === 'body'
          ? await ask(url, as(), { [field]: 1 })
          : await ask(`${url}?${field}=1`, {
              ...as(),
              ...(method === 'POST' ? { 'content-type': 'application/zip' } : {})
            })
    t.same(refused, invalid, `${operationId} with ${place}.${field}`)
  }
})

t.test('answers tell what they are', async t => {
  const { app } = await buildTestApp(t)
  const {
    document: {
      components: { schemas }
    }
  } = await readOperations(app)
  const objectOf = (name: string) => schemas[name] as { properties: { object: { const: string } }; required: string[] }
  for (const [name, object] of [
    ['Backup', 'backup'],
    ['Job', 'job'],
    ['RestoreResult', 'restore'],
    ['Deletion', 'deletion']
  ] as const) {
    t.equal(objectOf(name).properties.object.const, object, name)
    t.ok(objectOf(name).required.includes('object'), name)
  }
  const { result, kind } = (
    schemas.Job as {
      properties: {
        result: { discriminator: { propertyName: string; mapping: Record<string, string> } }
        kind: { enum: string[] }
      }
    }
  ).properties
  t.equal(result.discriminator.propertyName, 'object')
  for (const [object, place] of Object.entries(result.discriminator.mapping))
    t.equal(objectOf(place.split('/').at(-1)!).properties.object.const, object)
  t.same(
    [...kind.enum].sort(),
    ['create', 'delete', 'import', 'restore', 'undo'],
    'there is no kind that nothing makes'
  )
  t.same((schemas.ErrorCode as { enum: string[] }).enum, Object.keys(errorCatalogue))
})

t.test('headers are written as people know them, and bodies have names', async t => {
  const { app } = await buildTestApp(t)
  const { document, operations } = await readOperations(app)
  const names = operations.flatMap(({ parameters, responses }) => [
    ...parameters.filter(parameter => parameter.in === 'header').map(({ name }) => name),
    ...Object.values(responses).flatMap(({ headers = {} }) => Object.keys(headers))
  ])
  t.same([...new Set(names)].sort(), [
    'Accept-Ranges',
    'Content-Disposition',
    'Content-Range',
    'ETag',
    'If-None-Match',
    'If-Range',
    'Link',
    'Location',
    'Prefer',
    'Preference-Applied',
    'Range',
    'Repr-Digest',
    'Retry-After',
    'WWW-Authenticate'
  ])
  const bodies = Object.values(document.paths)
    .flatMap(item => Object.values(item))
    .flatMap(({ requestBody }) => Object.entries(requestBody?.content ?? {}))
  t.same(
    bodies.map(([type, { schema }]) => [type, (schema as { $ref?: string }).$ref?.split('/').at(-1)]),
    [
      ['application/json', 'CreateRequest'],
      ['multipart/form-data', 'UploadForm'],
      ['application/zip', undefined],
      ['application/json', 'UndoRequest'],
      ['application/json', 'RestoreRequest']
    ]
  )
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
      t.notOk(
        'example' in described || 'examples' in described || 'example' in schema || 'examples' in schema,
        `${operationId}: ${name} has no example`
      )
    }
    for (const { schema, ...described } of Object.values(requestBody?.content ?? {})) {
      const shape = schema as { properties?: Record<string, object>; required?: string[] }
      for (const name of examplesOf(described).flatMap(Object.keys)) {
        const property = shape.properties?.[name] ?? {}
        t.ok(
          'default' in property || shape.required?.includes(name),
          `${operationId}: the example body sends no ${name} that can be left out`
        )
      }
    }
  }
  t.ok(optional > 8)
})

interface Media {
  example?: object
  examples?: Record<string, { value: object }>
}

function examplesOf({ example, examples = {} }: Media): object[] {
  return [...(example === undefined ? [] : [example]), ...Object.values(examples).map(({ value }) => value)]
}

t.test('Swagger UI comes from this service alone', async t => {
  const { app } = await buildTestApp(t)
  const page = await app.inject({ url: '/docs' })
  t.equal(page.statusCode, 200)
  t.match(page.headers['content-type'], /^text\/html/)
  t.notMatch(page.body, /(src|href)="https?:/)
  const scripts = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(
    ([, path = '']) => new URL(path, 'http://service/docs').pathname
  )
  t.ok(scripts.length >= 4)
  for (const path of scripts) t.equal((await app.inject({ url: path })).statusCode, 200, path)
  t.equal((await app.inject({ url: '/docs/json' })).statusCode, 200)
})
