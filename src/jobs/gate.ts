import type { AppError } from '../errors.js'

/**
 * Whether jobs may be queued. Closed while the service starts, while a restore stands unfinished, and once it stops.
 */
export interface Gate {
  /** Why none may, or null. */
  reason(): AppError | null
  /** `reason` stands until the next call; null opens. */
  set(reason: AppError | null): void
  /** Closes for good. */
  lock(reason: AppError): void
}

export function createGate(): Gate {
  let reason: AppError | null = null
  let isLocked = false
  return {
    reason: () => reason,
    set(next) {
      if (!isLocked) reason = next
    },
    lock(last) {
      reason = last
      isLocked = true
    }
  }
}
