import { pino, stdSerializers, type Logger } from 'pino'
import { prettyFactory } from 'pino-pretty'

/** What waits to be written while the output takes nothing, such as a file on a full disk. */
const keptBytes = 1024 * 1024

/**
 * JSON lines on stdout, readable ones when that is a terminal. Never an Authorization header, also where a library logs
 * a request. An output that is gone (the terminal was closed, the reader of the pipe has ended, the disk is full) must
 * not end the service.
 */
export function createLogger({ level }: { level: string }): Logger {
  const options = {
    level,
    // The errors behind one keep their own messages: joined to one, they read as a sentence that goes on after its end.
    serializers: { err: stdSerializers.errWithCause },
    redact: ['req.headers.authorization', 'request.headers.authorization', 'headers.authorization', '*.password']
  }
  const output = pino.destination({ dest: 1, sync: true, maxLength: keptBytes })
  output.on('error', () => {})
  if (!process.stdout.isTTY) return pino(options, output)
  const readable = prettyFactory({ colorize: true, ignore: 'pid,hostname' })
  return pino(options, {
    write: line => {
      output.write(readable(line))
    }
  })
}
