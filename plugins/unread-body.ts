import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'

interface UnreadBodyOptions {
  limitMs?: number
  limitBytes?: number
}

const drainMs = 30_000
const drainBytes = 1 << 30
const draining = new WeakSet<Socket>()

/**
 * Whether a request on this connection has its answer already, and only its body is still read: an error of that body
 * gets no second one.
 */
export function isDraining(socket: Socket): boolean {
  return draining.has(socket)
}

/**
 * Lets the sender of a body that was refused read the answer. Node.js closes the connection, or reads on without end; a
 * connection that is closed while bytes arrive is reset, and the answer is lost with it. Here the rest of the body is
 * read and dropped for a bounded time and size, as nginx does (lingering_close). A sender that asks first (Expect:
 * 100-continue) is told to go on only when its body is wanted (RFC 9110, section 10.1.1).
 */
async function unreadBodyPlugin(
  app: FastifyInstance,
  { limitMs = drainMs, limitBytes = drainBytes }: UnreadBodyOptions
): Promise<void> {
  const asking = new WeakSet<IncomingMessage>()

  app.server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    asking.add(request)
    // Reading in either way begins with one of these listeners.
    request.on('newListener', event => {
      if (!['data', 'readable'].includes(event as string) || !asking.delete(request) || response.headersSent) return
      response.writeContinue()
    })
    app.server.emit('request', request, response)
  })

  app.addHook('onSend', async (request, reply) => {
    // The sender may send the body or leave it out, so the next request could not be told from it.
    if (asking.has(request.raw)) reply.header('connection', 'close')
  })

  app.server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
    // Before Node.js's own listener, which closes the connection or reads on.
    response.prependOnceListener('finish', () => {
      if (request.complete) return
      asking.delete(request)
      drain(request, limitMs, limitBytes)
    })
  })
}

function drain(request: IncomingMessage, limitMs: number, limitBytes: number): void {
  const { socket } = request
  draining.add(socket)
  const timer = setTimeout(() => {
    socket.destroy()
  }, limitMs).unref()
  socket.once('close', () => {
    clearTimeout(timer)
  })
  // Node.js calls it where the connection is not to be kept: the client learns that now, and its body is still read.
  socket.destroySoon = () => {
    request.once('end', () => {
      socket.destroy()
    })
    socket.end()
  }
  request.once('end', () => {
    draining.delete(socket)
    clearTimeout(timer)
    Reflect.deleteProperty(socket, 'destroySoon')
  })
  let left = limitBytes
  request
    .unpipe()
    .on('data', (chunk: Buffer) => {
      left -= chunk.length
      if (left < 0) socket.destroy()
    })
    .resume()
}

export default fp(unreadBodyPlugin, { name: 'unread-body' })
