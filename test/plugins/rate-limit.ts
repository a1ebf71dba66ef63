import t from 'tap'
import { buildTestApp } from '../support/app.js'
import { RateLimitStore } from '../../plugins/rate-limit-store.js'

t.test('requests are limited for each user', async t => {
  const { app, as } = await buildTestApp(t, { env: { RATE_LIMIT: '2' } })
  const ask = async (organization: string) =>
    (await app.inject({ url: '/api/backup/jobs', headers: as('OWNER', organization) })).statusCode
  t.same([await ask('acme'), await ask('acme'), await ask('acme'), await ask('globex')], [200, 200, 429, 200])
})

t.test('a minute is a minute, whatever the wall clock says', async t => {
  const { now } = Date
  t.teardown(() => {
    Date.now = now
  })
  const store = new RateLimitStore()
  const count = async (window: number) =>
    await new Promise<number>(resolve => {
      store.incr(
        'a',
        (_error, result) => {
          resolve(result!.current)
        },
        window
      )
    })
  t.same([await count(60_000), await count(60_000)], [1, 2])
  Date.now = () => now() + 3_600_000
  t.equal(await count(60_000), 3, 'it does not end early')
  const short = new RateLimitStore()
  const next = async () =>
    await new Promise<number>(resolve => {
      short.incr(
        'a',
        (_error, result) => {
          resolve(result!.current)
        },
        1
      )
    })
  await next()
  Date.now = () => now() - 3_600_000
  while ((await next()) !== 1);
  t.pass('nor last longer')
})
