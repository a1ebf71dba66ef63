import t from 'tap'
import { databaseError, parseConnectionUrl, toEnvironment } from '../../../src/database/connection/connection.js'
import { quoteIdentifier, quoteLiteral } from '../../../src/database/identifiers.js'
import { AppError } from '../../../src/errors.js'

t.test('reads every form of a connection URL', async t => {
  const base = { host: 'localhost', port: 5432, user: 'u', password: null, database: 'u', parameters: {} }
  const cases: Array<[string, object]> = [
    ['postgres://u@', {}],
    ['postgresql://u@/', {}],
    ['postgres://u:@db.example', { host: 'db.example' }],
    ['postgres://u:p@db.example:6543/app', { host: 'db.example', port: 6543, password: 'p', database: 'app' }],
    [
      'postgres://u%40corp:p%3A%2F%3F%23%25@h/my%20app',
      { user: 'u@corp', password: 'p:/?#%', host: 'h', database: 'my app' }
    ],
    ['postgres://u:a+b:c#d@h/x', { password: 'a+b:c#d', host: 'h', database: 'x' }],
    ['postgres://u@[::1]:7000/x', { host: '::1', port: 7000, database: 'x' }],
    ['postgres://u@[fe80::1%25eth0]/x', { host: 'fe80::1%eth0', database: 'x' }],
    ['postgres://u@%2Fvar%2Frun%2Fpostgresql:5433/x', { host: '/var/run/postgresql', port: 5433, database: 'x' }],
    [
      'postgres:///x?host=/tmp/sock&port=5434&user=u&password=q%26',
      { host: '/tmp/sock', port: 5434, password: 'q&', database: 'x' }
    ],
    ['postgres://u@h:1/x?host=other&port=2&dbname=y', { host: 'other', port: 2, database: 'y' }],
    ['postgres://u@h?sslmode=require', { host: 'h', parameters: { sslmode: 'require' } }],
    ['postgres://u@h?ssl=true', { host: 'h', parameters: { sslmode: 'require' } }],
    [
      'postgres://u@h/x?sslmode=verify-full&sslrootcert=%2Fca.pem&application_name=a',
      {
        host: 'h',
        database: 'x',
        parameters: { sslmode: 'verify-full', sslrootcert: '/ca.pem', application_name: 'a' }
      }
    ],
    ['postgres://u@h/x?schema=public&connection_limit=5&pgbouncer=true&constructor=1', { host: 'h', database: 'x' }]
  ]
  for (const [url, expected] of cases) t.strictSame(parseConnectionUrl(url), { ...base, ...expected }, url)
})

t.test("refuses what it can't use without repeating it", async t => {
  const urls = [
    '',
    'mysql://u:s3cret@h/x',
    'postgres://:s3cret@h/x',
    'postgres:///x?password=s3cret',
    'postgres://u:s3cret%@h/x',
    'postgres://u:s3cret%00@h/x',
    'postgres://u:s3cret@h:0/x',
    'postgres://u:s3cret@h:70000/x',
    'postgres://u:s3cret@h:abc/x',
    'postgres://u:s3cret@a,b/x',
    'postgres://u:s3cret@a:1,b:2/x',
    'postgres://u:s3cret@[::1/x',
    'postgres://u:s3cret@::1/x',
    'postgres://u:s3cret@h/x?sslmode=s3cret',
    'postgres://u:s3cret@h/x?sslmode=verify-full',
    'postgres://u:s3cret@h/x?service=s3cret',
    'postgres://u:s3cret@h/x?novalue',
    'postgres://u:s3cret@h/x?connect_timeout=s3cret',
    'postgres://u:s3cret@h/x?sslrootcert=system&sslmode=require'
  ]
  for (const url of urls) {
    try {
      parseConnectionUrl(url)
      t.fail(`took ${url}`)
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      t.equal(error.code, 'CONFIG_INVALID', url)
      t.match(error.message, 'DATABASE_URL')
      t.notMatch(JSON.stringify([error.message, error.remedy, error.cause]), /s3cret/)
    }
  }
})

t.test('gives the tools the same connection', async t => {
  const connection = parseConnectionUrl(
    'postgres://u:p@h:6000/x?sslmode=verify-ca&sslrootcert=/ca&options=-c%20a%3Db&connect_timeout=3&application_name=n&hostaddr=10.0.0.1'
  )
  const { PGOPTIONS, ...rest } = toEnvironment(connection)
  t.match(PGOPTIONS, /^-c a=b -c statement_timeout=0 /, 'our own settings come last and win')
  t.strictSame(rest, {
    PGHOST: 'h',
    PGPORT: '6000',
    PGUSER: 'u',
    PGPASSWORD: 'p',
    PGDATABASE: 'x',
    PGSSLMODE: 'verify-ca',
    PGSSLROOTCERT: '/ca',
    PGCONNECT_TIMEOUT: '3',
    PGAPPNAME: 'n',
    PGHOSTADDR: '10.0.0.1',
    PGCLIENTENCODING: 'UTF8'
  })
  t.match(toEnvironment(connection, { database: 'y', user: 'v', password: 'w' }), {
    PGDATABASE: 'y',
    PGUSER: 'v',
    PGPASSWORD: 'w'
  })
  t.notOk('PGPASSWORD' in toEnvironment(connection, { password: null }))
})

t.test('quotes names and texts', async t => {
  t.equal(quoteIdentifier('a"b'), '"a""b"')
  t.equal(quoteLiteral("it's"), "'it''s'")
  t.equal(quoteLiteral("a\\'b"), "E'a\\\\''b'")
})

t.test('translates errors without their statement', async t => {
  const own = new AppError('DUMP_FAILED', 'x', 'x')
  t.equal(databaseError(own), own)
  for (const code of [
    'ECONNREFUSED',
    'ENOTFOUND',
    'CONNECT_TIMEOUT',
    'CONNECTION_CLOSED',
    '28P01',
    '28000',
    '3D000',
    '57P03',
    '53300',
    '08006',
    'SELF_SIGNED_CERT_IN_CHAIN'
  ]) {
    const error = databaseError(
      Object.assign(new Error('with s3cret'), { code, query: 's3cret', parameters: ['s3cret'] })
    )
    t.equal(error.code, 'DATABASE_UNAVAILABLE', code)
    t.notMatch(error.message + error.remedy, /s3cret/)
  }
  t.equal(
    databaseError(Object.assign(new Error('x'), { code: 'ENOENT', syscall: 'connect' })).code,
    'DATABASE_UNAVAILABLE'
  )
  t.equal(databaseError(Object.assign(new Error('x'), { code: 'ENOENT', syscall: 'open' })).code, 'DATABASE_ERROR')
  const old = Object.assign(new Error('unrecognized configuration parameter "idle_session_timeout"'), {
    name: 'PostgresError',
    severity: 'FATAL',
    code: '42704'
  })
  t.match(databaseError(old), { code: 'DATABASE_UNAVAILABLE', remedy: /14/ })
  const failed = databaseError(
    Object.assign(new Error('relation "x" does not exist'), { name: 'PostgresError', code: '42P01' })
  )
  t.match(failed, { code: 'DATABASE_ERROR', reason: 'sqlstate-42p01' })
})
