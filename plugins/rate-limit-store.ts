import type { FastifyRateLimitStore } from '@fastify/rate-limit'

const mostKeys = 50_000

interface Window {
  current: number
  endsAt: number
}

/** Counts by a clock that can't be set: when the wall clock goes back an hour, a minute must not last an hour. */
export class RateLimitStore implements FastifyRateLimitStore {
  readonly #windows = new Map<string, Window>()

  incr(
    key: string,
    callback: (error: Error | null, result?: { current: number; ttl: number }) => void,
    timeWindow: number
  ): void {
    const now = performance.now()
    let window = this.#windows.get(key)
    if (window === undefined || window.endsAt <= now) {
      // To the end of the map, so that the oldest is its first.
      this.#windows.delete(key)
      window = { current: 0, endsAt: now + timeWindow }
      this.#windows.set(key, window)
      if (this.#windows.size > mostKeys) this.#windows.delete(this.#windows.keys().next().value as string)
    }
    window.current += 1
    callback(null, { current: window.current, ttl: Math.ceil(window.endsAt - now) })
  }

  child(): RateLimitStore {
    return new RateLimitStore()
  }
}
