import { pino, type Logger } from 'pino'
import pretty from 'pino-pretty'

/** JSON lines on stdout, readable ones when that is a terminal. Never an Authorization header, whoever logs a request. */
export function createLogger ({ level }: { level: string }): Logger {
  const options = {
    level,
    redact: ['req.headers.authorization', 'request.headers.authorization', 'headers.authorization', '*.password']
  }
  return process.stdout.isTTY ? pino(options, pretty({ colorize: true, ignore: 'pid,hostname' })) : pino(options)
}
