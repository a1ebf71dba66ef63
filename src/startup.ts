import { mkdir } from 'node:fs/promises'
import type { Core } from './core.js'
import { AppError, errorFields } from './errors.js'
import { folderNotMade } from './io/usable-folder.js'
import { upkeep } from './jobs/operation.js'
import type { Jobs } from './create-jobs.js'
import { recover } from './operations/recover.js'

export interface Startup {
  /**
   * Tries once, and goes on trying in the background when that fails. Jobs are refused, with the reason, until it is
   * through.
   */
  begin(): Promise<void>
  /**
   * A restore stands unfinished: refuses jobs with `reason` and tries to finish it in the background, like a start
   * does.
   */
  finishRestores(reason: AppError): void
  /** Gives up trying and waits for the try that is under way. Idempotent. */
  stop(): Promise<void>
}

/**
 * What must be done before the first job: the folders are put in order, the database is reached, and restores that a
 * crash left unfinished are finished. A database or folder that is not there yet must not keep the service from
 * telling so, hence the retries.
 */
export function createStartup(
  core: Core,
  { queue, gate }: Jobs,
  { retryMs = 5000, makeUploadDir = false } = {}
): Startup {
  const recovery = async () => {
    await upkeep(queue, recover, {})
  }
  const steps = [
    async () => {
      if (makeUploadDir) await makeFolder(core.settings.uploadDir)
    },
    // Before anything is cleared away: what another service writes there must not be taken for what a crash left.
    async () => {
      await core.repository.open()
    },
    async () => {
      await core.database.start()
    },
    async () => {
      await core.repository.removePartials()
    },
    async () => {
      await core.catalog.reconcile()
    },
    recovery
  ]
  let timer: NodeJS.Timeout | undefined
  let trying: Promise<void> = Promise.resolve()
  let stopped = false
  /** What the log was told last: each try may fail in the same way, for hours. */
  let told = ''

  async function attempt(): Promise<void> {
    try {
      for (let step = steps[0]; step !== undefined && !stopped; step = steps[0]) {
        await step()
        steps.shift()
      }
      if (stopped) return
      gate.set(null)
      told = ''
      await tellReady(core)
    } catch (error) {
      const reason =
        error instanceof AppError
          ? error
          : new AppError('INTERNAL_ERROR', 'start-failed', 'The service could not get ready.', { cause: error })
      gate.set(reason)
      tellFailure(reason)
      if (!stopped)
        timer = setTimeout(() => {
          trying = attempt()
        }, retryMs)
    }
  }

  function tellFailure(reason: AppError): void {
    const outcome = JSON.stringify([reason.code, reason.message, reason.errors])
    if (outcome !== told)
      core.log.error(
        { ...errorFields(reason), retrySeconds: retryMs / 1000 },
        `Not ready, and trying again until it is: ${reason.message}`
      )
    told = outcome
  }

  return {
    async begin() {
      gate.set(
        new AppError('SERVICE_STOPPING', 'service-starting', 'The service is starting.', {
          remedy: 'Try again in a moment.'
        })
      )
      trying = attempt()
      await trying
    },
    finishRestores(reason) {
      gate.set(reason)
      if (steps.length > 0) return
      steps.push(recovery)
      timer = setTimeout(() => {
        trying = attempt()
      }, retryMs)
    },
    async stop() {
      stopped = true
      clearTimeout(timer)
      await trying
    }
  }
}

/** Without the uploads the database can be backed up and restored all the same, so the log is the only one to tell. */
async function tellReady({ storage, log }: Core): Promise<void> {
  try {
    await storage.check()
    log.info('ready for backups and restores')
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    log.warn(errorFields(error), `ready for backups and restores of the database alone: ${error.message}`)
  }
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true })
  } catch (error) {
    throw await folderNotMade(error, { name: 'UPLOAD_DIR', folder }, 'STORAGE_UNAVAILABLE')
  }
}
