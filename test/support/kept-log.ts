import { pino, type Logger } from 'pino'

/** A log whose lines can be looked at. */
export function keptLog(): { log: Logger; lines: Array<Record<string, unknown>> } {
  const lines: Array<Record<string, unknown>> = []
  return {
    lines,
    log: pino(
      {},
      {
        write(line) {
          lines.push(JSON.parse(line) as Record<string, unknown>)
        }
      }
    )
  }
}
