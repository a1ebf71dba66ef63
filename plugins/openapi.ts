import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { sharedSchemas } from '../routes/schemas/shared.js'

interface Schema { required?: string[], default?: unknown, properties?: Record<string, Schema> }
interface Operation {
  parameters?: Array<{ required?: boolean, schema?: Schema }>
  requestBody?: { required: boolean, content: Record<string, { schema: Schema }> }
}
interface Document {
  components?: { schemas?: Record<string, { properties?: Record<string, object> }> }
  paths?: Record<string, Record<string, Operation>>
}

/** The OpenAPI document, made from the routes' own schemas, and Swagger UI to try it with. */
async function openapiPlugin (app: FastifyInstance): Promise<void> {
  for (const schema of sharedSchemas) app.addSchema(schema)

  await app.register(swagger, {
    convertConstToEnum: false,
    refResolver: { buildLocalReference: (json, _baseUri, _fragment, index) => typeof json.$id === 'string' ? json.$id : `Schema${index}` },
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'dumbassets-backup',
        description: 'Backup and restore of an organization\'s database and uploaded files. Every operation needs an access token of an OWNER of the organization; the organization is the token\'s.',
        version: app.config.settings.version,
        license: { name: 'MIT', identifier: 'MIT' }
      },
      servers: [{ url: '/', description: 'This service' }],
      tags: [
        { name: 'backups', description: 'Make, find, download and delete backups' },
        { name: 'restores', description: 'Put a backup back, rehearse it, undo it' },
        { name: 'jobs', description: 'Watch and cancel long work' },
        { name: 'health', description: 'For load balancers and orchestrators' },
        { name: 'documentation', description: 'This document' }
      ],
      // A route that says nothing of it is no public one.
      security: [{ bearerAuth: [] }],
      components: {
        securitySchemes: { bearerAuth: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'Access token with the claims sub, organizationId and role' } }
      }
    },
    transformObject: parts => complete('openapiObject' in parts ? parts.openapiObject as Document : {})
  })

  // Under helmet's content security policy as it is: what the page needs it gets from this service.
  await app.register(swaggerUi, { routePrefix: '/docs', uiConfig: { persistAuthorization: true } })
  app.get('/openapi.json', {
    schema: {
      operationId: 'getOpenApi',
      summary: 'Get this document',
      description: 'The OpenAPI document of the service; `/docs` shows it and lets you try it.',
      tags: ['documentation'],
      security: [],
      response: { 200: { description: 'The document', type: 'object', additionalProperties: true } }
    }
  }, async () => app.swagger())
}

/** What can be said in OpenAPI, but not by the schemas that requests and answers are handled with. */
function complete (document: Document): Document {
  for (const operations of Object.values(document.paths ?? {})) {
    for (const operation of Object.values(operations)) allowDefaults(operation)
  }
  const job = document.components?.schemas?.Job?.properties
  if (job !== undefined) {
    const results = ['Backup', 'RestoreResult', 'DeleteResult'].map(name => ({ $ref: `#/components/schemas/${name}` }))
    job.result = { description: 'What the operation itself would have answered', anyOf: results }
  }
  return withEnums(document) as Document
}

/** A choice of texts as `enum`, which tools show better than `anyOf` of constants. */
function withEnums (value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withEnums)
  if (typeof value !== 'object' || value === null) return value
  const { anyOf, ...rest } = value as { anyOf?: Array<{ const?: unknown }> }
  if (anyOf?.every(option => typeof option.const === 'string') === true) {
    return { ...rest, type: 'string', enum: anyOf.map(option => option.const) }
  }
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, withEnums(part)]))
}

/** What has a default, and a body of nothing else, need not be sent. */
function allowDefaults ({ parameters = [], requestBody }: Operation): void {
  for (const parameter of parameters) if (parameter.schema?.default !== undefined) parameter.required = false
  if (requestBody === undefined) return
  for (const { schema } of Object.values(requestBody.content)) {
    const needed = schema.required?.filter(name => schema.properties?.[name]?.default === undefined) ?? []
    schema.required = needed.length === 0 ? undefined : needed
    requestBody.required = needed.length > 0
  }
}

export default fp(openapiPlugin, { name: 'openapi', dependencies: ['config'] })
