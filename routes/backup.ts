import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import createRoute from './backup/create.js'
import deleteRoute from './backup/delete.js'
import downloadRoute from './backup/download.js'
import getRoute from './backup/get.js'
import listRoute from './backup/list.js'
import restoreRoute from './backup/restore.js'
import restoresRoutes from './backup/restores.js'
import tenancyRoute from './backup/tenancy.js'
import uploadRoute from './backup/upload.js'
import jobRoutes from './jobs.js'

/**
 * Everything under /api/backup. The hook is the scope's, so a new route can't forget it; unknown addresses have it too.
 */
const backupRoutes: FastifyPluginAsyncTypebox = async app => {
  app.addHook('onRequest', app.requireOwner)
  app.setNotFoundHandler(app.refuseUnknownRoute)

  await app.register(createRoute)
  await app.register(listRoute)
  await app.register(uploadRoute)
  await app.register(restoresRoutes)
  await app.register(tenancyRoute)
  await app.register(jobRoutes, { prefix: '/jobs' })
  await app.register(getRoute)
  await app.register(downloadRoute)
  await app.register(restoreRoute)
  await app.register(deleteRoute)
}

export default backupRoutes
