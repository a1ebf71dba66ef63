import { once } from 'node:events'
import { connect, type AddressInfo } from 'node:net'
import Fastify from 'fastify'
import t from 'tap'
import bodyTimeoutPlugin from '../../plugins/body-timeout.js'

t.test('a body that does not come ends the connection, but where the route watches over it', async t => {
  const app = Fastify({ requestTimeout: 0 })
  await app.register(bodyTimeoutPlugin, { limitMs: 50 })
  app.post('/short', async () => 'short')
  app.post('/slow', { config: { slowBody: true } }, async ({ body }) => body)
  app.get('/none', async () => {
    await new Promise(resolve => setTimeout(resolve, 150))
    return 'answered'
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(async () => {
    await app.close()
  })
  const { port } = app.server.address() as AddressInfo

  async function send(path: string): Promise<{ socket: ReturnType<typeof connect>; ended: Promise<unknown> }> {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {}).resume()
    await once(socket, 'connect')
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{"half": `
    )
    return { socket, ended: once(socket, 'close') }
  }

  const slow = await send('/slow')
  const short = await send('/short')
  await short.ended
  t.notOk(slow.socket.destroyed)
  slow.socket.write('"and half"}')
  slow.socket.destroy()
  t.equal(
    await (await fetch(`http://127.0.0.1:${port}/none`)).text(),
    'answered',
    'the time of the answer does not count'
  )
  const json = await fetch(`http://127.0.0.1:${port}/short`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{}'
  })
  t.equal(await json.text(), 'short')
})
