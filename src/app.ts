import { randomUUID } from 'node:crypto'
import helmet from '@fastify/helmet'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import authPlugin from '../plugins/auth.js'
import bodyTimeoutPlugin from '../plugins/body-timeout.js'
import checkpointsPlugin from '../plugins/checkpoints.js'
import configPlugin from '../plugins/config.js'
import corePlugin from '../plugins/core.js'
import errorHandlerPlugin, { refuseBrokenRequest, sendError } from '../plugins/error-handler.js'
import jobsPlugin from '../plugins/jobs.js'
import newlinePlugin from '../plugins/newline.js'
import openapiPlugin from '../plugins/openapi.js'
import rateLimitPlugin from '../plugins/rate-limit.js'
import rescanPlugin from '../plugins/rescan.js'
import { shareSerializers } from '../plugins/serializers.js'
import unreadBodyPlugin from '../plugins/unread-body.js'
import validationPlugin from '../plugins/validation.js'
import backupRoutes from '../routes/backup.js'
import healthRoutes from '../routes/health.js'
import homeRoutes from '../routes/home.js'
import type { Config } from './config.js'
import type { Core } from './core.js'
import type { Jobs } from './create-jobs.js'

export interface AppParts {
  config: Config
  core: Core
  jobs: Jobs
}

/**
 * The HTTP service around the core, made of what it is given. It listens nowhere yet, and closing it stops the jobs.
 */
export async function buildApp({ config, core, jobs }: AppParts): Promise<FastifyInstance> {
  const { trustProxy } = config
  const app = Fastify({
    genReqId: () => randomUUID(),
    loggerInstance: core.log as FastifyBaseLogger,
    bodyLimit: 64 * 1024,
    trustProxy: typeof trustProxy === 'number' ? (_address, hop) => hop < trustProxy : trustProxy,
    // Node's own limits a whole request, and an upload may take longer; plugins/body-timeout.ts has the others.
    requestTimeout: 0,
    http: { headersTimeout: 30_000 },
    // Closing waits for running jobs, which have a grace of their own; Fastify's ten seconds would cut them off.
    pluginTimeout: 0,
    // While closing, running jobs can still be asked about; new ones are refused by the gate.
    return503OnClosing: false,
    schemaController: { compilersFactory: { buildSerializer: shareSerializers } },
    frameworkErrors: sendError,
    clientErrorHandler: refuseBrokenRequest
  }).withTypeProvider<TypeBoxTypeProvider>()

  await app.register(configPlugin, { config })
  await app.register(corePlugin, { core })
  await app.register(jobsPlugin, { jobs })
  await app.register(errorHandlerPlugin)
  await app.register(newlinePlugin)
  await app.register(bodyTimeoutPlugin)
  await app.register(unreadBodyPlugin)
  await app.register(validationPlugin)
  await app.register(helmet, { contentSecurityPolicy: { directives: { upgradeInsecureRequests: null } } })
  await app.register(rateLimitPlugin)
  await app.register(authPlugin)
  await app.register(checkpointsPlugin)
  await app.register(rescanPlugin)
  await app.register(openapiPlugin)

  await app.register(homeRoutes)
  await app.register(healthRoutes, { prefix: '/health' })
  await app.register(backupRoutes, { prefix: '/api/backup' })
  return app
}
