import type { FastifyInstance } from 'fastify'
import { buildApp } from './app.js'
import { readArguments } from './arguments.js'
import { type Config, describeSettings, loadConfig } from './config.js'
import { createCore } from './create-core.js'
import { createJobs } from './create-jobs.js'
import { databaseError } from './database/connection/connection.js'
import { AppError, systemCode } from './errors.js'
import { letThreadsGiveWay } from './io/priority.js'
import { createLogger } from './logger.js'
import { listenForSignals } from './signals.js'
import { createStartup, type Startup } from './startup.js'

/** Why the service can't listen (listen(2), bind(2), getaddrinfo(3)), for the log. */
const unusableAddress: Readonly<Record<string, string>> = {
  EADDRINUSE: 'The port is in use: stop the other process, or set PORT to a free one',
  EADDRNOTAVAIL: 'The address does not belong to this machine: set HOST to one that does, to 127.0.0.1 or to 0.0.0.0',
  ENOTFOUND: 'The name of the address is unknown: correct HOST',
  EACCES: 'The user of the service may not listen on the port: set PORT to 1024 or higher'
}

const command = readArguments(process.argv.slice(2))
if (command.serve) {
  await serve(readConfig())
} else {
  const output = command.exitCode === 0 ? process.stdout : process.stderr
  // A reader that has seen enough, as in `--help | head`, is not a failure.
  output.on('error', () => {})
  output.write(command.text)
  process.exitCode = command.exitCode
}

async function serve(config: Config): Promise<void> {
  await letThreadsGiveWay()
  const log = createLogger({ level: config.logLevel })
  log.info(describeSettings(config), 'Starting')
  for (const { given, meant } of config.misspelt)
    log.warn({ variable: given, meant }, 'A variable is set that this service does not read: it may be misspelt')
  const core = createCore(config, log)
  const jobs = createJobs(core, {
    places: config.maxJobs,
    onUnfinished: reason => {
      startup.finishRestores(reason)
    }
  })
  const startup: Startup = createStartup(core, jobs, { makeUploadDir: config.makeUploadDir })
  let app: FastifyInstance | null = null
  let stopping: Promise<void> | null = null

  /**
   * The end of the process, in order. No time limit: the runner has its own, and a restore past its commit point must
   * end.
   */
  function stop(exitCode: 0 | 1): void {
    if (exitCode !== 0) process.exitCode = exitCode
    stopping ??= end().then(
      () => {
        log.info('stopped')
        process.exit()
      },
      (error: unknown) => {
        log.error({ err: error }, 'The service could not stop in order')
        process.exit(1)
      }
    )
  }
  async function end(): Promise<void> {
    try {
      await startup.stop()
      await app?.close()
    } finally {
      await core.database.stop()
      await core.repository.close()
    }
  }
  function fail(error: unknown): void {
    log.error({ err: error }, 'stopping after an unexpected error')
    stop(1)
  }

  listenForSignals({
    stop(signal) {
      log.info({ signal }, 'stopping: running jobs have 30 seconds to end; Ctrl-C again cancels them')
      stop(0)
    },
    hurry(signal) {
      log.warn({ signal }, 'cancelling the running jobs')
      void jobs.queue.stop(0)
    }
  })
  process.on('uncaughtException', fail)
  process.on('unhandledRejection', reason => {
    // With target_session_attrs postgres.js asks a question of its own as it connects, and its error reaches no caller.
    if (databaseError(reason).code === 'DATABASE_UNAVAILABLE')
      log.warn({ err: reason }, 'a database connection broke while it was opened')
    else fail(reason)
  })

  app = await buildApp({ config, core, jobs })
  if (stopping === null) await startup.begin()
  if (stopping !== null) return
  try {
    await app.listen({ host: config.host, port: config.port })
  } catch (error) {
    const reason = unusableAddress[systemCode(error) ?? '']
    if (reason === undefined) throw error
    log.error({ host: config.host, port: config.port }, reason)
    stop(1)
  }
}

function readConfig(): Config {
  try {
    return loadConfig(process.env)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    process.stderr.write(
      `dumbassets-backup can't start:\n${error.message.replaceAll(/^/gm, '  ')}\nRun with --help to see every variable.\n`
    )
    process.exit(1)
  }
}
