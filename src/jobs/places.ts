/** A number of places for work, given in the order in which they were asked for. */
export interface Places {
  hasFree (): boolean
  /** Waits for a place; the answer gives it back. @throws the signal's reason while waiting */
  take (signal: AbortSignal): Promise<() => void>
}

export function createPlaces (count: number): Places {
  const waiting = new Set<() => void>()
  let free = count

  function giveBack (): void {
    const [next] = waiting
    if (next === undefined) free += 1
    else next()
  }

  return {
    hasFree: () => free > 0,
    async take (signal) {
      signal.throwIfAborted()
      if (free > 0) {
        free -= 1
        return giveBack
      }
      await new Promise<void>((resolve, reject) => {
        const leave = (): void => {
          waiting.delete(enter)
          reject(signal.reason as Error)
        }
        const enter = (): void => {
          waiting.delete(enter)
          signal.removeEventListener('abort', leave)
          resolve()
        }
        waiting.add(enter)
        signal.addEventListener('abort', leave, { once: true })
      })
      return giveBack
    }
  }
}
