import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { get, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { pino } from 'pino'
import t from 'tap'
import type { Job } from '../../src/jobs/job.js'
import { freePort } from '../../src/io/free-port.js'
import { buildTestApp } from '../support/app.js'
import { findNginx, startNginx } from '../support/nginx.js'
import { projectFile } from '../support/project.js'
import { startWork, untilIdle } from '../support/work.js'

const nginx = findNginx()
const page = await readFile(projectFile('docs/reverse-proxy.md'), 'utf8')

/** The recipe of the page, with a port that is free here and the service's own. */
function recipe(port: number, service: string): string {
  const [, block = ''] = /```nginx\n([\s\S]*?)```/.exec(page) ?? []
  const parts = ['listen 80;', 'http://127.0.0.1:3000/']
  for (const part of parts) if (!block.includes(part)) throw new Error(`docs/reverse-proxy.md has no ${part}`)
  return block.replace('listen 80;', `listen 127.0.0.1:${port};`).replace('http://127.0.0.1:3000/', `${service}/`)
}

/** Addresses of this service in a document: of its servers, and in texts. */
function absoluteLinks(document: unknown): string[] {
  return JSON.stringify(document).match(/https?:\/\/(?:127\.0\.0\.1|localhost)[^"\s)]*/g) ?? []
}

t.test(
  'behind nginx as the documentation sets it up, below a path',
  { skip: nginx === null && 'nginx is missing: scripts/setup.sh brings it on Debian' },
  async t => {
    const port = await freePort()
    const base = `http://127.0.0.1:${port}/backups`
    const lines: string[] = []
    const log = pino(
      { level: 'info' },
      new Writable({
        write(line: Buffer, _encoding, done) {
          lines.push(line.toString())
          done()
        }
      })
    )
    const { app, as, jobs, uploadDir } = await buildTestApp(t, {
      log,
      env: { PUBLIC_URL: `${base}/`, TRUST_PROXY: 'loopback', RATE_LIMIT: '60' }
    })
    await startNginx(t, nginx!, recipe(port, await app.listen({ host: '127.0.0.1', port: 0 })), port)
    await mkdir(join(uploadDir, 'acme'))
    // More than nginx takes and keeps by itself.
    await writeFile(join(uploadDir, 'acme', 'video'), randomBytes(3 << 20))

    const create = async (headers: object = {}) =>
      await fetch(`${base}/api/backup/create`, {
        method: 'POST',
        headers: { ...as(), 'content-type': 'application/json', ...headers },
        body: '{"type": "files"}'
      })
    const created = await create()
    t.equal(created.status, 201)
    const { id, size } = (await created.json()) as { id: string; size: number }
    t.equal(created.headers.get('location'), `${base}/api/backup/${id}`)
    t.equal((await fetch(created.headers.get('location')!, { headers: as() })).status, 200, 'and it leads there')
    t.equal((await create()).status, 201)
    const [, next = ''] =
      /^<(.*)>; rel="next"$/.exec(
        (await fetch(`${base}/api/backup/list?limit=1`, { headers: as() })).headers.get('link') ?? ''
      ) ?? []
    t.ok(next.startsWith(`${base}/api/backup/list?`))
    t.same(
      ((await (await fetch(next, { headers: as() })).json()) as Array<{ id: string }>).map(backup => backup.id),
      [id]
    )
    const accepted = await create({ prefer: 'respond-async' })
    t.equal(accepted.headers.get('location'), `${base}/api/backup/jobs/${((await accepted.json()) as Job).id}`)
    await untilIdle(jobs)

    const part = await fetch(`${base}/api/backup/${id}/download`, { headers: { ...as(), range: 'bytes=10-19' } })
    t.equal(part.status, 206)
    const archive = Buffer.from(
      await (await fetch(`${base}/api/backup/${id}/download`, { headers: as() })).arrayBuffer()
    )
    t.equal(archive.length, size)
    t.ok(archive.subarray(10, 20).equals(Buffer.from(await part.arrayBuffer())))
    t.equal((await fetch(`${base}/api/backup/${id}`, { method: 'DELETE', headers: as() })).status, 200)
    const upload = async (body: unknown, headers: object) =>
      await fetch(`${base}/api/backup/upload`, {
        method: 'POST',
        body: body as never,
        duplex: 'half',
        headers: { 'content-type': 'application/zip', ...headers }
      })
    const uploaded = await upload(archive, as())
    t.match(
      { status: uploaded.status, location: uploaded.headers.get('location') },
      { status: 201, location: `${base}/api/backup/${id}` }
    )

    let left = 40
    const large = new ReadableStream({
      pull(controller) {
        controller.enqueue(Buffer.alloc(1 << 20))
        if (--left === 0) controller.close()
      }
    })
    const refused = await upload(large, as('VIEWER'))
    t.match(
      { status: refused.status, body: await refused.json() },
      { status: 403, body: { code: 'FORBIDDEN' } },
      'a large upload that is refused says why'
    )

    let finish: (value: unknown) => void = () => {}
    const { job, done } = startWork(jobs, {
      run: async () =>
        await new Promise(resolve => {
          finish = resolve
        })
    })
    const [events] = (await once(get(`${base}/api/backup/jobs/${job.id}/events`, { headers: as() }), 'response')) as [
      IncomingMessage
    ]
    const [first] = (await once(events, 'data')) as [Buffer]
    t.match(first.toString(), /^event: progress/, 'an event arrives while the job runs')
    finish(null)
    await done
    const [last] = (await once(events, 'data')) as [Buffer]
    t.match(last.toString(), /^event: result/)

    const docs = await (await fetch(`${base}/docs`)).text()
    const parts = [...docs.matchAll(/(?:src|href)="([^"]+)"/g)].map(
      ([, path = '']) => new URL(path, `${base}/docs`).href
    )
    t.ok(parts.length >= 4)
    for (const address of parts) t.equal((await fetch(address)).status, 200, address)
    for (const [address, leadsTo] of [
      ['', '/docs'],
      ['/', '/docs'],
      ['/docs?lang=en', '/docs'],
      ['/docs/?lang=en', '/docs'],
      ['/docs/static/', '/docs'],
      ['/docs/static/index.html', '/docs'],
      ['/docs/static/index.html?lang=en', '/docs']
    ] as const) {
      const page = await fetch(`${base}${address}`)
      t.match({ status: page.status, url: page.url }, { status: 200, url: `${base}${leadsTo}` }, address)
    }
    const links = absoluteLinks(await (await fetch(`${base}/openapi.json`)).json())
    t.ok(links.length >= 1)
    for (const link of links) t.ok(link.startsWith(base), link)
    t.match(await (await fetch(`${base}/docs/json`)).json(), { servers: [{ url: base }] })

    lines.length = 0
    const anonymous = async (address: string) =>
      (await fetch(`${base}/api/backup/list`, { headers: { 'x-forwarded-for': address } })).status
    for (let asked = 0; asked < 60; asked += 1) await anonymous('203.0.113.7')
    t.equal(await anonymous('203.0.113.7'), 429, "the limit is the client's")
    t.equal(await anonymous('203.0.113.8'), 401, "and not its neighbour's")
    t.ok(
      lines.some(line => line.includes('"remoteAddress":"203.0.113.7"')),
      "the log has the client's address"
    )
  }
)

t.test('a number of proxies is believed, and no more', async t => {
  const { app } = await buildTestApp(t, { env: { RATE_LIMIT: '1', TRUST_PROXY: '1' } })
  const ask = async (address: string) =>
    (await app.inject({ url: '/api/backup/list', headers: { 'x-forwarded-for': address } })).statusCode
  t.same([await ask('203.0.113.7'), await ask('203.0.113.8'), await ask('203.0.113.9, 203.0.113.8')], [401, 401, 429])
})

t.test("without TRUST_PROXY a client can't choose its address", async t => {
  const { app } = await buildTestApp(t, { env: { RATE_LIMIT: '1' } })
  const ask = async (address: string) =>
    (await app.inject({ url: '/api/backup/list', headers: { 'x-forwarded-for': address } })).statusCode
  t.same([await ask('203.0.113.7'), await ask('203.0.113.8')], [401, 429])
})
