import t from 'tap'
import { buildTestApp } from '../support/app.js'

const { app, as } = await buildTestApp(t)

t.test('the root leads to the documentation', async t => {
  const { statusCode, headers } = await app.inject({ url: '/' })
  t.equal(statusCode, 302)
  t.equal(new URL(String(headers.location), 'http://here/').pathname, '/docs')
  t.equal((await app.inject({ url: '/docs' })).statusCode, 200)
})

t.test("every address of the documentation's page leads to /docs, also without a proxy", async t => {
  for (const url of [
    '/docs?lang=en',
    '/docs/?lang=en',
    '/docs/static/',
    '/docs/static/index.html',
    '/docs/static/index.html?lang=en'
  ]) {
    const { statusCode, headers } = await app.inject({ url })
    t.equal(statusCode, 302, url)
    t.notMatch(headers.location, /^\/|:/, `${url}: the redirect is relative`)
    t.equal(new URL(String(headers.location), `http://here${url}`).href, 'http://here/docs', url)
  }
  for (const url of ['/docs', '/docs/', '/docs/static/swagger-ui.css'])
    t.equal((await app.inject({ url })).statusCode, 200, url)
})

t.test('browsers get an icon', async t => {
  const { statusCode, headers, body } = await app.inject({ url: '/favicon.ico' })
  t.equal(statusCode, 200)
  t.match(headers['content-type'], /^image\/svg\+xml/)
  t.match(body, /^<svg /)
})

t.test('JSON answers end with a newline, whatever they say, and nothing else does', async t => {
  for (const url of ['/health/live', '/nowhere', '/api/backup/list', '/openapi.json']) {
    const { body, headers } = await app.inject({ url, headers: as() })
    t.match(body, /[}\]]\n$/, url)
    t.equal(Number(headers['content-length'] ?? Buffer.byteLength(body)), Buffer.byteLength(body), `${url}: its length`)
    const head = await app.inject({ url, method: 'HEAD', headers: as() })
    if (head.statusCode === 200)
      t.equal(head.headers['content-length'], headers['content-length'], `${url}: the length that HEAD tells`)
  }
  t.notMatch((await app.inject({ url: '/favicon.ico' })).body, /\n$/)
})
