import closeWithGrace from 'close-with-grace'
import { buildApp } from './app.js'
import { type Config, describeVariables, loadConfig, version } from './config.js'
import { createCore } from './create-core.js'
import { databaseError } from './database/connection/connection.js'
import { AppError, systemCode } from './errors.js'
import { letThreadsGiveWay } from './io/priority.js'
import { createJobRunner } from './jobs/runner.js'
import { createLogger } from './logger.js'
import { createStartup, type Startup } from './startup.js'

if (process.argv.includes('--help')) {
  process.stdout.write(`dumbassets-backup ${version}\n\nUsage: npm start\n\nEnvironment variables:\n${describeVariables()}\n`)
} else {
  await serve(readConfig())
}

async function serve (config: Config): Promise<void> {
  await letThreadsGiveWay()
  const log = createLogger({ level: config.logLevel })
  const core = createCore(config, log)
  const jobs = createJobRunner({ log, places: config.maxJobs, onUnfinished: reason => { startup.finishRestores(reason) } })
  const startup: Startup = createStartup(core, jobs, { makeUploadDir: config.makeUploadDir })
  const app = await buildApp({ config, core, jobs })
  let closing = false

  // No time limit: the runner has its own, and a restore past its commit point must end.
  const { close } = closeWithGrace({ delay: false, skip: ['unhandledRejection'], logger: { error: (error: unknown) => { log.error(error) } } }, async ({ signal, err }) => {
    closing = true
    if (err !== undefined) log.error({ err }, 'stopping after an unexpected error')
    else log.info({ signal }, 'stopping')
    try {
      await startup.stop()
      await app.close()
    } finally {
      await core.database.stop()
      await core.repository.close()
    }
    log.info('stopped')
    // Else it would end with 0 whatever has happened.
    if (process.exitCode !== undefined) process.exit()
  })

  process.on('unhandledRejection', reason => {
    // postgres.js asks for types on its own when it connects, and nobody gets its error when the connection breaks just then.
    if (databaseError(reason).code === 'DATABASE_UNAVAILABLE') log.warn({ err: reason }, 'a database connection broke while it was opened')
    else {
      log.error({ err: reason }, 'stopping after an unexpected error')
      process.exitCode = 1
      close()
    }
  })

  await startup.begin()
  if (closing) return
  try {
    await app.listen({ host: config.host, port: config.port })
  } catch (error) {
    if (systemCode(error) !== 'EADDRINUSE') throw error
    log.error({ host: config.host, port: config.port }, 'The port is in use: stop the other process, or set PORT to a free one')
    process.exitCode = 1
    close()
  }
}

function readConfig (): Config {
  try {
    return loadConfig(process.env)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    process.stderr.write(`dumbassets-backup can't start:\n${error.message.replaceAll(/^/gm, '  ')}\nRun with --help to see every variable.\n`)
    process.exit(1)
  }
}
