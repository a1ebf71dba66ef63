import { AppError } from '../errors.js'
import type { Job } from './job.js'

/**
 * How a job has ended that threw. `thrown` is what its caller gets, `reason` why it was cancelled, when that ended it.
 */
export function failureOf(
  error: unknown,
  signal: AbortSignal
): { thrown: unknown; outcome: Pick<Job, 'state' | 'error'> } {
  const reason = cancelReason(error, signal)
  const thrown = reason ?? error
  return { thrown, outcome: { state: reason === null ? 'failed' : 'cancelled', error: describe(thrown) } }
}

/** Whether a restore could be moved neither way: nothing may be built upon that. */
export function isUnfinished(error: unknown): error is AppError {
  return error instanceof AppError && error.code === 'RESTORE_UNFINISHED'
}

/** Work that could not clean up after itself has failed, also when it was cancelled. */
function cancelReason(error: unknown, signal: AbortSignal): AppError | null {
  return signal.aborted && !isUnfinished(error) ? (signal.reason as AppError) : null
}

function describe(error: unknown): Job['error'] {
  const { code, reason, message, remedy, errors } =
    error instanceof AppError ? error : new AppError('INTERNAL_ERROR', 'unexpected', 'Something unexpected happened.')
  return { code, reason, message, remedy, ...(errors === undefined ? {} : { errors: [...errors] }) }
}
