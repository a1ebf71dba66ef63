import { join } from 'node:path'
import { execa } from 'execa'
import t from 'tap'
import { buildTestApp, testSecret } from '../support/app.js'
import { compiled } from '../support/project.js'

const script = compiled('scripts/token.js')
const run = async (args: string[], env: NodeJS.ProcessEnv) =>
  await execa(process.execPath, [script, ...args], {
    env: { PATH: process.env.PATH, ...env },
    extendEnv: false,
    reject: false
  })

t.test('prints a token that the service takes, and nothing else', async t => {
  const { app } = await buildTestApp(t)
  const file = join(t.testdir({ secret: `${testSecret}\n` }), 'secret')
  for (const env of [{ JWT_SECRET: testSecret }, { JWT_SECRET_FILE: file }]) {
    const { stdout, exitCode } = await run(['--organization', 'acme', '--email', 'olivia@example.com'], env)
    t.equal(exitCode, 0)
    t.match(stdout, /^[\w-]+\.[\w-]+\.[\w-]+$/)
    t.equal(
      (await app.inject({ url: '/api/backup/list', headers: { authorization: `Bearer ${stdout}` } })).statusCode,
      200
    )
  }
  const manager = await run(['--organization', 'acme', '--role', 'MANAGER', '--expires', '1h'], {
    JWT_SECRET: testSecret
  })
  t.equal(
    (await app.inject({ url: '/api/backup/list', headers: { authorization: `Bearer ${manager.stdout}` } })).statusCode,
    403
  )
})

t.test('says what is wrong', async t => {
  const env = { JWT_SECRET: testSecret }
  for (const [args, message] of [
    [[], /--organization/],
    [['--organization', '../x'], /--organization/],
    [['--organization', 'a', '--role', 'BOSS'], /--role/],
    [['--organization', 'a', '--expires', 'soon'], /--expires/],
    [['--organisation', 'a'], /organisation/]
  ] as const) {
    const { stdout, stderr, exitCode } = await run([...args], env)
    t.equal(exitCode, 1)
    t.equal(stdout, '')
    t.match(stderr, message)
  }
  t.match((await run(['--organization', 'a'], {})).stderr, /JWT_SECRET is not set/)
  t.match((await run(['--help'], {})).stdout, /Usage/)
})
