const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'] as const

/**
 * Signals of so many milliseconds are one request: npm passes on the SIGINT that the terminal has sent to all already.
 */
const oneRequestMs = 2000

export interface SignalListener {
  /** Called once, by the first signal. */
  stop: (signal: NodeJS.Signals) => void
  /** Called when Ctrl-C is pressed again: less time, but no less order. */
  hurry: (signal: NodeJS.Signals) => void
}

/**
 * No signal that can be handled ends the process at once: jobs are to clean up, and the embedded PostgreSQL is to be
 * stopped.
 */
export function listenForSignals({ stop, hurry }: SignalListener, now: () => number = () => performance.now()): void {
  let firstAt: number | null = null
  function receive(signal: NodeJS.Signals): void {
    if (firstAt === null) {
      firstAt = now()
      stop(signal)
    } else if (signal === 'SIGINT' && now() - firstAt > oneRequestMs) {
      hurry(signal)
    }
  }
  for (const signal of signals) process.on(signal, receive)
}
