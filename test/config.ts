import { generateKeyPairSync } from 'node:crypto'
import { chmod, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { inspect } from 'node:util'
import t, { type Test } from 'tap'
import { describeSettings, describeVariables, loadConfig } from '../src/config.js'
import { AppError } from '../src/errors.js'

const secret = 'x'.repeat(32)

/** The one message that names every problem. */
function problemsOf(t: Test, env: NodeJS.ProcessEnv): string {
  try {
    loadConfig({ JWT_SECRET: secret, ...env })
  } catch (error) {
    t.ok(error instanceof AppError && error.code === 'CONFIG_INVALID')
    return (error as Error).message
  }
  t.fail('the configuration was accepted')
  return ''
}

t.test('defaults are those of the documentation', async t => {
  t.match(loadConfig({ JWT_SECRET: secret }), {
    host: '127.0.0.1',
    port: 3000,
    logLevel: 'info',
    jwtSecret: secret,
    jwtPublicKey: null,
    backupDir: resolve('data/uploads/backups'),
    makeUploadDir: true,
    database: { kind: 'embedded', directory: resolve('data/postgres') },
    storage: { kind: 'local' },
    settings: {
      version: '0.1.0',
      uploadDir: resolve('data/uploads'),
      databaseScope: 'auto',
      tenantTable: 'organizations',
      tenancyFile: null,
      checkpointRetentionMs: 24 * 3_600_000,
      compression: 'fast',
      pgBinDir: null
    }
  })
})

t.test('an empty value counts as none', async t => {
  const config = loadConfig({ JWT_SECRET: secret, DATABASE_URL: '', PORT: '', JWT_PUBLIC_KEY: '', JWT_SECRET_FILE: '' })
  t.equal(config.database.kind, 'embedded')
  t.equal(config.port, 3000)
})

t.test('values are read as what they are', async t => {
  const config = loadConfig({
    JWT_SECRET: secret,
    PORT: '0',
    USE_EMBEDDED_DB: 'false',
    DATABASE_URL: 'postgres://u:p@db/app',
    CHECKPOINT_RETENTION: '7d',
    COMPRESSION: 'small',
    FILE_STORAGE_TYPE: 'smb',
    SMB_HOST: 'nas',
    SMB_SHARE: 'uploads',
    SMB_USERNAME: 'svc',
    SMB_PASSWORD: 'never kept'
  })
  t.equal(config.port, 0)
  t.equal(loadConfig({ JWT_SECRET: secret, UPLOAD_DIR: '/srv/uploads' }).makeUploadDir, false)
  const share = { JWT_SECRET: secret, FILE_STORAGE_TYPE: 'smb', SMB_HOST: 'nas', SMB_SHARE: 'uploads' }
  t.equal(loadConfig(share).makeUploadDir, true, 'the backups go there')
  t.equal(loadConfig({ ...share, BACKUP_DIR: '/srv/backups' }).makeUploadDir, false)
  t.same(config.database, { kind: 'external', url: 'postgres://u:p@db/app' })
  t.equal(config.settings.checkpointRetentionMs, 7 * 86_400_000)
  t.same(config.storage, { kind: 'smb', host: 'nas', share: 'uploads', username: 'svc', domain: null })
  t.notMatch(JSON.stringify(config), /never kept/)
  for (const [text, ms] of [
    ['0', 0],
    ['30m', 1_800_000],
    ['90s', 90_000],
    ['500ms', 500]
  ] as const) {
    t.equal(loadConfig({ JWT_SECRET: secret, CHECKPOINT_RETENTION: text }).settings.checkpointRetentionMs, ms)
  }
})

t.test('a secret is needed, and a long one', async t => {
  t.match(problemsOf(t, { JWT_SECRET: '' }), /^JWT_SECRET is not set: set it to/)
  const short = problemsOf(t, { JWT_SECRET: 'short-secret' })
  t.match(short, /^JWT_SECRET must be at least 32 characters long\.$/)
  t.notMatch(short, /short-secret/)
})

t.test('secrets come from files, too', async t => {
  const folder = t.testdir({ secret: `${secret}\n`, empty: '\n' })
  t.equal(loadConfig({ JWT_SECRET_FILE: join(folder, 'secret') }).jwtSecret, secret)
  await writeFile(join(folder, 'url'), 'postgresql://app:pw@db/app\n')
  t.match(loadConfig({ JWT_SECRET: secret, DATABASE_URL_FILE: join(folder, 'url') }).database, {
    url: 'postgresql://app:pw@db/app'
  })
  t.match(
    problemsOf(t, { JWT_SECRET_FILE: join(folder, 'secret') }),
    /JWT_SECRET and JWT_SECRET_FILE are both set: set only one/
  )
  t.match(
    problemsOf(t, { JWT_SECRET: '', JWT_SECRET_FILE: join(folder, 'none') }),
    /JWT_SECRET_FILE names a file that can't be read \(ENOENT\)/
  )
  t.match(
    problemsOf(t, { JWT_SECRET: '', JWT_SECRET_FILE: join(folder, 'empty') }),
    /JWT_SECRET_FILE names an empty file/
  )
})

t.test('public keys say their algorithm; what is none is refused without being quoted', async t => {
  const rsa = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' }
  })
  const ec = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' }
  })
  const weak = generateKeyPairSync('rsa', {
    modulusLength: 1024,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' }
  })
  const signing = { BACKUP_SIGNING_KEY: 'k'.repeat(32) }
  t.match(loadConfig({ JWT_PUBLIC_KEY: rsa.publicKey, ...signing }), {
    jwtSecret: null,
    jwtPublicKey: { algorithm: 'RS256' }
  })
  t.equal(
    loadConfig({ JWT_PUBLIC_KEY: ec.publicKey.replaceAll('\n', '\\n'), ...signing }).jwtPublicKey?.algorithm,
    'ES256'
  )
  for (const key of [rsa.privateKey, weak.publicKey, 'no key at all']) {
    t.equal(
      problemsOf(t, { JWT_PUBLIC_KEY: key }),
      'JWT_PUBLIC_KEY must be a public key in PEM: RSA of at least 2048 bits (RS256) or EC P-256 (ES256).'
    )
  }
})

t.test('archives are always signed, and no key is shown', async t => {
  const { publicKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' }
  })
  t.match(problemsOf(t, { JWT_SECRET: '', JWT_PUBLIC_KEY: publicKey }), /^BACKUP_SIGNING_KEY is not set/)
  const keys = {
    BACKUP_SIGNING_KEY: 'topsecret '.repeat(4),
    BACKUP_SIGNING_KEY_PREVIOUS: `${'former '.repeat(5)}\n${'older '.repeat(6)}\n`
  }
  const config = loadConfig({ JWT_SECRET: secret, ...keys })
  t.equal(config.signing.previous.length, 4, 'each as a key and as a secret that a key was made from')
  t.notMatch(inspect(config.signing, { depth: 9 }) + JSON.stringify(config.signing), /topsecret|former|older/)
  t.match(
    problemsOf(t, { ...keys, BACKUP_SIGNING_KEY: 'short' }),
    /^BACKUP_SIGNING_KEY must be at least 32 characters long\.$/
  )
  t.match(
    problemsOf(t, { BACKUP_SIGNING_KEY_PREVIOUS: `${'older '.repeat(6)}\nshort` }),
    /^BACKUP_SIGNING_KEY_PREVIOUS must be keys of at least 32 characters, one a line\.$/
  )
})

t.test('every problem is told at once, by the name of its variable', async t => {
  const message = problemsOf(t, {
    PORT: '99999',
    LOG_LEVEL: 'loud',
    CHECKPOINT_RETENTION: 'soon',
    FILE_STORAGE_TYPE: 'smb',
    USE_EMBEDDED_DB: 'maybe',
    RATE_LIMIT: '-1'
  })
  t.same(
    message
      .split('\n')
      .map(line => line.split(' ')[0])
      .sort(),
    [
      'CHECKPOINT_RETENTION',
      'FILE_STORAGE_TYPE=smb',
      'FILE_STORAGE_TYPE=smb',
      'LOG_LEVEL',
      'PORT',
      'RATE_LIMIT',
      'USE_EMBEDDED_DB'
    ]
  )
  t.match(message, /PORT must be a port number from 0 to 65535, not "99999"\./)
  t.match(message, /LOG_LEVEL must be one of trace, .*, not "loud"\./)
})

t.test('contradictions are refused', async t => {
  t.match(
    problemsOf(t, { USE_EMBEDDED_DB: 'true', DATABASE_URL: 'postgres://u@h/d' }),
    /USE_EMBEDDED_DB=true contradicts DATABASE_URL/
  )
  t.match(problemsOf(t, { USE_EMBEDDED_DB: 'false' }), /USE_EMBEDDED_DB=false needs DATABASE_URL/)
  t.match(problemsOf(t, { FILE_STORAGE_TYPE: 'smb', SMB_HOST: 'nas' }), /^FILE_STORAGE_TYPE=smb needs SMB_SHARE[^\n]*$/)
  t.match(
    problemsOf(t, { UPLOAD_DIR: '/srv/data', BACKUP_DIR: '/srv/data/' }),
    /BACKUP_DIR and UPLOAD_DIR are the same folder/
  )
  t.match(
    problemsOf(t, { UPLOAD_DIR: '/srv/data', BACKUP_DIR: '/srv/data/acme/kept' }),
    /BACKUP_DIR is where UPLOAD_DIR keeps an organization called "acme"/
  )
  t.match(
    problemsOf(t, { UPLOAD_DIR: '/srv/backups/uploads', BACKUP_DIR: '/srv/backups' }),
    /UPLOAD_DIR is where BACKUP_DIR keeps an organization called "uploads"/
  )
  t.match(
    problemsOf(t, { UPLOAD_DIR: '/srv/data', EMBEDDED_DB_DIR: '/srv/data/postgres' }),
    /EMBEDDED_DB_DIR is where UPLOAD_DIR keeps/
  )
  t.match(
    problemsOf(t, { UPLOAD_DIR: '/srv/pg/files', EMBEDDED_DB_DIR: '/srv/pg' }),
    /UPLOAD_DIR is inside EMBEDDED_DB_DIR/
  )
  t.ok(loadConfig({ JWT_SECRET: secret, UPLOAD_DIR: '/srv/data', BACKUP_DIR: '/srv/data/backups' }))
})

t.test('the address of the service and its proxies are checked', async t => {
  const read = (environment: NodeJS.ProcessEnv) => loadConfig({ JWT_SECRET: secret, ...environment })
  t.match(read({}), { publicUrl: '', trustProxy: false })
  t.equal(read({ PUBLIC_URL: 'https://example.org/backups/' }).publicUrl, 'https://example.org/backups')
  t.equal(read({ PUBLIC_URL: 'http://example.org:8080' }).publicUrl, 'http://example.org:8080')
  for (const url of [
    'example.org',
    '/backups',
    'ftp://example.org',
    'https://u:hidden@example.org',
    'https://example.org/?a=b',
    'https://example.org/#a'
  ]) {
    t.match(problemsOf(t, { JWT_SECRET: secret, PUBLIC_URL: url }), /^PUBLIC_URL must be an http or https URL/, url)
    t.notMatch(problemsOf(t, { JWT_SECRET: secret, PUBLIC_URL: url }), /hidden/)
  }
  for (const [text, value] of [
    ['true', true],
    ['false', false],
    ['2', 2],
    ['loopback, 10.0.0.0/8,::1', ['loopback', '10.0.0.0/8', '::1']]
  ] as const) {
    t.strictSame(read({ TRUST_PROXY: text }).trustProxy, value, text)
  }
  for (const text of ['proxy.example.org', '10.0.0.0/33', '10.0.0.0/8/8', '-1', 'loopback,', 'yes']) {
    t.match(problemsOf(t, { JWT_SECRET: secret, TRUST_PROXY: text }), /^TRUST_PROXY must be addresses or subnets/, text)
  }
})

t.test('a bad DATABASE_URL is refused without its password', async t => {
  const message = problemsOf(t, { DATABASE_URL: 'mysql://app:hunter2@db/app' })
  t.match(message, /DATABASE_URL does not begin with/)
  t.notMatch(message, /hunter2/)
})

t.test('PG_BIN_DIR must hold the programs, so that others are not taken in their place', async t => {
  const folder = t.testdir({ bin: { pg_dump: '', psql: '' } })
  t.match(
    problemsOf(t, { PG_BIN_DIR: join(folder, 'none') }),
    /^PG_BIN_DIR holds no pg_dump that can be run \(ENOENT\): set it to the folder that holds pg_dump and psql, or unset it[^\n]*\nPG_BIN_DIR holds no psql/
  )
  t.match(problemsOf(t, { PG_BIN_DIR: folder }), /^PG_BIN_DIR holds no pg_dump/, 'the folder above it')
  for (const program of ['pg_dump', 'psql']) await chmod(join(folder, 'bin', program), 0o644)
  t.match(problemsOf(t, { PG_BIN_DIR: join(folder, 'bin') }), /^PG_BIN_DIR holds no pg_dump that can be run \(EACCES\)/)
  for (const program of ['pg_dump', 'psql']) await chmod(join(folder, 'bin', program), 0o755)
  t.equal(loadConfig({ JWT_SECRET: secret, PG_BIN_DIR: join(folder, 'bin') }).settings.pgBinDir, join(folder, 'bin'))
})

t.test('every variable is described', async t => {
  const help = describeVariables()
  for (const name of [
    'JWT_SECRET',
    'DATABASE_URL',
    'SMB_PASSWORD',
    'JWT_PUBLIC_KEY',
    'BACKUP_SIGNING_KEY',
    'BACKUP_SIGNING_KEY_PREVIOUS'
  ])
    t.match(help, `or ${name}_FILE`)
  for (const name of ['UPLOAD_DIR', 'BACKUP_DIR', 'TENANCY_FILE', 'CHECKPOINT_RETENTION', 'HOST'])
    t.match(help, new RegExp(`^  ${name} `, 'm'))
})

t.test('TENANCY_FILE is checked at the start', async t => {
  const folder = t.testdir({
    'good.json': '{"$schema": "tenancy.schema.json", "tables": {"public.notes": {"owner": "author"}}}',
    'torn.json': '{"tables": ',
    'wrong.json': '{"tables": {"notes": {"owner": ""}}}'
  })
  t.equal(
    loadConfig({ JWT_SECRET: secret, TENANCY_FILE: join(folder, 'good.json') }).settings.tenancyFile,
    join(folder, 'good.json')
  )
  t.match(
    problemsOf(t, { TENANCY_FILE: join(folder, 'none.json') }),
    /^TENANCY_FILE can't be read \(ENOENT\)\. Correct the path/
  )
  t.match(
    problemsOf(t, { TENANCY_FILE: join(folder, 'torn.json') }),
    /^TENANCY_FILE is not JSON\. Write TENANCY_FILE as/
  )
  t.match(problemsOf(t, { TENANCY_FILE: join(folder, 'wrong.json') }), /^TENANCY_FILE is not valid at "\/tables\/notes/)
})

t.test('a variable that is nearly one of ours is told, unless ours is set too', async t => {
  t.same(
    loadConfig({ JWT_SECRET: secret, BACKUP_DIRR: '/b', PATH: '/bin', DATABASE_URL_REPLICA: 'x', JWT_SECRT_FILE: '/s' })
      .misspelt,
    [
      { given: 'BACKUP_DIRR', meant: 'BACKUP_DIR' },
      { given: 'JWT_SECRT_FILE', meant: 'JWT_SECRET_FILE' }
    ]
  )
  t.same(loadConfig({ JWT_SECRET: secret, BACKUP_DIRR: '/b', BACKUP_DIR: '/c' }).misspelt, [])
  const message = problemsOf(t, { JWT_SECRET: '', JWT_SECRTE: 'secret-value' })
  t.match(message, /JWT_SECRET is not set[\s\S]*JWT_SECRTE is set, .* JWT_SECRET\?/)
  t.notMatch(message, 'secret-value')
})

t.test('the settings are described without a secret', async t => {
  const described = describeSettings(
    loadConfig({
      JWT_SECRET: secret,
      DATABASE_URL: 'postgresql://app:hunter2@db.example:5433/assets',
      UPLOAD_DIR: '/uploads',
      BACKUP_DIR: '/backups'
    })
  )
  t.same(described, {
    version: '0.1.0',
    node: process.version,
    uploadDir: '/uploads',
    backupDir: '/backups',
    database: 'app@db.example:5433/assets',
    databaseScope: 'auto',
    tenantTable: 'organizations'
  })
  t.match(describeSettings(loadConfig({ JWT_SECRET: secret, EMBEDDED_DB_DIR: '/pg' })), { database: 'embedded in /pg' })
})
