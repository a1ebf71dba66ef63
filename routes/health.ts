import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { checkReadiness, readinessWarnings, tellChanges } from '../src/health/readiness.js'
import { errorResponses } from './schemas/error.js'

const healthRoutes: FastifyPluginAsyncTypebox = async app => {
  const requireUsable = tellChanges(app.log, async () => {
    await checkReadiness(app.core)
  })

  /** The log was told why jobs are refused, when it began. */
  async function requireReady(): Promise<void> {
    const refusal = app.gate.reason()
    if (refusal === null) await requireUsable()
    else await checkReadiness(app.core, refusal)
  }

  app.get(
    '/live',
    {
      config: { rateLimit: false },
      logLevel: 'silent',
      schema: {
        operationId: 'checkLiveness',
        summary: 'Is the process alive?',
        description: 'Answers as long as the process can answer at all. Restart it when it does not.',
        tags: ['health'],
        security: [],
        response: {
          200: Type.Object(
            { status: Type.Literal('alive') },
            { title: 'Liveness', description: 'It is alive', examples: [{ status: 'alive' }] }
          )
        }
      }
    },
    async () => ({ status: 'alive' as const })
  )

  app.get(
    '/ready',
    {
      config: { rateLimit: false },
      logLevel: 'silent',
      schema: {
        operationId: 'checkReadiness',
        summary: 'Can backups and restores be made?',
        description:
          'Checks the database, the uploads, and the repository and its free space. `errors` names each that is not available, with the reason.',
        tags: ['health'],
        security: [],
        response: {
          200: Type.Object(
            {
              status: Type.Literal('ready'),
              database: Type.Literal('available'),
              storage: Type.Literal('available'),
              repository: Type.Literal('available'),
              warnings: Type.Optional(
                Type.Array(Type.Object({ message: Type.String(), remedy: Type.String() }), {
                  description:
                    'What is to be repaired and keeps nothing from working: archives in BACKUP_DIR that are not in the list of backups'
                })
              )
            },
            {
              title: 'Readiness',
              description: 'Everything is available',
              examples: [{ status: 'ready', database: 'available', storage: 'available', repository: 'available' }]
            }
          ),
          ...errorResponses([
            'INTERNAL_ERROR',
            'SERVICE_STOPPING',
            'DATABASE_UNAVAILABLE',
            'DATABASE_TOOLS_MISSING',
            'STORAGE_UNAVAILABLE',
            'REPOSITORY_UNAVAILABLE',
            'CONFIG_INVALID',
            'DISK_FULL'
          ])
        }
      }
    },
    async () => {
      await requireReady()
      const warnings = readinessWarnings(app.core)
      return {
        status: 'ready' as const,
        database: 'available' as const,
        storage: 'available' as const,
        repository: 'available' as const,
        ...(warnings.length === 0 ? {} : { warnings })
      }
    }
  )
}

export default healthRoutes
