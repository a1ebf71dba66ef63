import type { Core } from '../core.js'
import { requireDirect } from '../database/connection/direct.js'
import { AppError, errorFields } from '../errors.js'
import { reserveBytes } from '../io/free-space.js'
import type { Log } from '../log.js'

/** What readiness looks at, in this order. */
export const readinessChecks = ['database', 'storage', 'repository'] as const

/**
 * Whether backups and restores can be made now.
 * @param refusal why jobs are refused, which is behind the other failures: a service that has not begun has no database
 * @throws AppError the refusal, or with the code of the first failure; and every failure in `errors`
 */
export async function checkReadiness(core: Core, refusal: AppError | null = null): Promise<void> {
  const checks = {
    database: async () => {
      await pingDatabase(core)
    },
    storage: async () => {
      await core.storage.check()
    },
    repository: async () => {
      await checkRepository(core)
    }
  }
  const outcomes = await Promise.allSettled(
    readinessChecks.map(async name => {
      await checks[name]()
    })
  )
  const failures = outcomes.flatMap((outcome, index) => {
    return outcome.status === 'rejected' ? [{ field: readinessChecks[index], reason: outcome.reason as unknown }] : []
  })
  const [first] = refusal === null ? failures : [{ reason: refusal }]
  if (first === undefined) return
  const { code, remedy } =
    first.reason instanceof AppError ? first.reason : new AppError('INTERNAL_ERROR', 'unexpected', '')
  const errors = failures.map(({ field, reason }) => ({
    field,
    ...(reason instanceof AppError
      ? { reason: reason.reason, message: reason.message }
      : { reason: 'unexpected', message: 'The check failed.' })
  }))
  throw new AppError(
    code,
    refusal?.reason ?? 'not-ready',
    refusal?.message ?? `Not ready: ${failures.map(({ field }) => field).join(', ')}.`,
    {
      remedy,
      errors: errors.length === 0 ? refusal?.errors : errors,
      cause: new AggregateError(failures.map(({ reason }) => reason))
    }
  )
}

const mostWarnings = 20

/**
 * What does not keep backups and restores from being made, and is to be repaired: archives that are not in the list. No
 * organization is named.
 */
export function readinessWarnings({ catalog }: Core): Array<{ message: string; remedy: string }> {
  return catalog
    .strays()
    .slice(0, mostWarnings)
    .map(({ name, reason, remedy }) => ({
      message: `BACKUP_DIR holds an archive that is not in the list of backups, ${JSON.stringify(name)}: ${reason}`,
      remedy
    }))
}

/**
 * The same check, which tells the log only when its outcome is another than the time before: it is asked for all the
 * time.
 */
export function tellChanges(log: Log, check: () => Promise<void>): () => Promise<void> {
  let told = ''
  return async () => {
    try {
      await check()
    } catch (error) {
      const failure =
        error instanceof AppError ? error : new AppError('INTERNAL_ERROR', 'unexpected', 'Not ready.', { cause: error })
      const outcome = JSON.stringify([failure.code, failure.message, failure.errors])
      if (outcome !== told) log.error(errorFields(failure), failure.message)
      told = outcome
      throw error
    }
    if (told !== '') log.info('Ready again.')
    told = ''
  }
}

/** Where there is no room, the next backup and the next restore's journal fail. */
async function checkRepository({ repository }: Core): Promise<void> {
  await repository.check()
  if ((await repository.freeBytes()) < reserveBytes)
    throw new AppError(
      'DISK_FULL',
      'repository-nearly-full',
      `BACKUP_DIR has less than ${reserveBytes >> 20} MiB free.`
    )
}

async function pingDatabase({ database }: Core): Promise<void> {
  const connection = database.connection()
  const parameters = { ...connection.parameters, connect_timeout: '3' }
  await requireDirect({ ...connection, parameters }, 'dumbassets-backup health')
}
