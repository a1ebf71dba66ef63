import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance, FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import fp from 'fastify-plugin'
import { errorResponses } from '../routes/schemas/error.js'
import { sharedSchemas } from '../routes/schemas/shared.js'
import { completeDocument, type Document } from './openapi-document.js'

/** The OpenAPI document, made from the routes' own schemas, and Swagger UI to try it with. */
async function openapiPlugin(app: FastifyInstance): Promise<void> {
  const { publicUrl } = app.config
  for (const schema of sharedSchemas) app.addSchema(schema)

  await app.register(swagger, {
    convertConstToEnum: false,
    refResolver: {
      buildLocalReference: (json, _baseUri, _fragment, index) =>
        typeof json.$id === 'string' ? json.$id : `Schema${index}`
    },
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'dumbassets-backup',
        description:
          "Backup and restore of an organization's database and uploaded files. Every operation needs an access token of an OWNER of the organization; the organization is the token's.",
        version: app.config.settings.version,
        license: { name: 'MIT', identifier: 'MIT' }
      },
      servers: [{ url: publicUrl === '' ? '/' : publicUrl, description: 'This service' }],
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
        securitySchemes: {
          bearerAuth: {
            type: 'http',
            scheme: 'bearer',
            bearerFormat: 'JWT',
            description: 'Access token with the claims sub, organizationId and role'
          }
        }
      }
    },
    transformObject: parts => completeDocument('openapiObject' in parts ? (parts.openapiObject as Document) : {})
  })

  // Under helmet's content security policy as it is: what the page needs it gets from this service.
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    indexPrefix: publicUrl === '' ? '' : new URL(publicUrl).pathname,
    uiConfig: { persistAuthorization: true },
    uiHooks: { onRequest: leadToPage }
  })
  // The files of Swagger UI hold its own page too, which looks for the document in the wrong place.
  app.get('/docs/static/', { schema: { hide: true }, onRequest: leadToPage }, async () => {})
  app.get(
    '/openapi.json',
    {
      schema: {
        operationId: 'getOpenApi',
        summary: 'Get this document',
        description: 'The OpenAPI document of the service; `/docs` shows it and lets you try it.',
        tags: ['documentation'],
        security: [],
        response: {
          200: { description: 'The document', type: 'object', additionalProperties: true },
          ...errorResponses(['RATE_LIMITED'])
        }
      }
    },
    async () => app.swagger()
  )
}

/** From each address, relative to it: a proxy may serve this below a path of its own. */
const toPage: Readonly<Record<string, string>> = {
  '/docs': 'docs',
  '/docs/': '../docs',
  '/docs/static/': '../../docs',
  '/docs/static/index.html': '../../docs'
}

/**
 * Leads every other address of the page to /docs. Behind a query the page would look for the document in the wrong
 * place, and the redirect of @fastify/swagger-ui 6.1.3 forgets the proxy's path and, with a query, leads back to
 * itself.
 */
function leadToPage(request: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction): void {
  const [path = '', ...query] = request.url.split('?')
  const page = toPage[path]
  if (page !== undefined && (path.startsWith('/docs/static/') || query.length > 0)) reply.redirect(page, 302)
  else done()
}

export default fp(openapiPlugin, { name: 'openapi', dependencies: ['config'] })
