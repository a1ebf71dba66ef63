import { createPublicKey } from 'node:crypto'
import { accessSync, constants, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { isAbsolute, join, relative, resolve, sep } from 'node:path'
import { type Static } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { derivedKey, givenKey, type SigningKeys } from './archive/signature.js'
import type { Settings } from './core.js'
import { describeConnection, parseConnectionUrl } from './database/connection/connection-url.js'
import { parseTenancy } from './database/tenancy/tenancy-file.js'
import { Environment, durationPattern, type Variable } from './environment.js'
import { AppError, systemCode } from './errors.js'
import { readPublicUrl, readTrustedProxies } from './proxy-config.js'
import { isOrganizationId } from './io/safe-path.js'
import { nearestName } from './nearest.js'

export interface Config {
  host: string
  port: number
  /** What the addresses that answers name begin with; empty for those of the service itself. */
  publicUrl: string
  /** Whose X-Forwarded-For is believed: all, none, so many proxies in a row, or those. */
  trustProxy: boolean | number | string[]
  logLevel: Static<typeof Environment>['LOG_LEVEL']
  /** Requests a minute for each user of an organization, else for each address. */
  rateLimit: number
  /** Jobs that run at the same time. */
  maxJobs: number
  jwtSecret: string | null
  jwtPublicKey: { pem: string; algorithm: 'RS256' | 'ES256' } | null
  signing: SigningKeys
  backupDir: string
  /**
   * UPLOAD_DIR is not set, so its default may be made where uploads or backups go there; a folder that was set and is
   * missing may be a mount that is away.
   */
  makeUploadDir: boolean
  database: { kind: 'embedded'; directory: string } | { kind: 'external'; url: string }
  /** Variables that the service does not read, each with that which was probably meant and is not set. */
  misspelt: Array<{ given: string; meant: string }>
  storage:
    { kind: 'local' } | { kind: 'smb'; host: string; share: string; username: string | null; domain: string | null }
  settings: Settings
}

const variables = Object.entries<Variable>(Environment.properties as unknown as Record<string, Variable>)

/** Every variable's name; those of secrets may have `_FILE` behind them. */
export const variableNames: readonly string[] = variables.map(([name]) => name)

/** The release of this service. */
export const version: string = (createRequire(import.meta.url)('#package') as { version: string }).version

/**
 * Reads the configuration from environment variables. An empty value counts as none.
 * @throws AppError CONFIG_INVALID with every problem at once, naming variables and never a secret's value
 */
export function loadConfig(environment: NodeJS.ProcessEnv): Config {
  const problems: string[] = []
  const given = readVariables(environment, problems)
  const values = Value.Default(Environment, Value.Convert(Environment, { ...given })) as Static<typeof Environment>
  const wrong = new Set([...Value.Errors(Environment, values)].map(error => error.path.split('/')[1]))
  for (const [name, variable] of variables) {
    if (!wrong.has(name)) continue
    const shown = variable.secret === true ? '' : `, not ${JSON.stringify(given[name])}`
    problems.push(`${name} must be ${variable.expects}${shown}.`)
    delete (values as Record<string, unknown>)[name]
  }
  const config = {
    ...makeConfig(values, name => given[name] !== undefined, wrong, problems),
    misspelt: misspeltVariables(environment)
  }
  if (problems.length > 0) {
    problems.push(
      ...config.misspelt.map(
        ({ given, meant }) => `${given} is set, which this service does not read: did you mean ${meant}?`
      )
    )
    throw new AppError('CONFIG_INVALID', 'environment', problems.join('\n'), {
      errors: problems.map(message => ({ reason: 'environment', message }))
    })
  }
  return config
}

/** What the first line of the log says of the settings: where everything is, and no secret. */
export function describeSettings({ settings, backupDir, database, storage }: Config): Record<string, string> {
  return {
    version,
    node: process.version,
    uploadDir: storage.kind === 'local' ? settings.uploadDir : `smb://${storage.host}/${storage.share}`,
    backupDir,
    database:
      database.kind === 'embedded'
        ? `embedded in ${database.directory}`
        : describeConnection(parseConnectionUrl(database.url)),
    databaseScope: settings.databaseScope,
    tenantTable: settings.tenantTable
  }
}

/** What `--help` prints: every variable with its meaning and its default. */
export function describeVariables(): string {
  return variables
    .map(([name, { description, default: fallback, secret }]) => {
      const notes = [
        ...(fallback === undefined ? [] : [`default ${String(fallback)}`]),
        ...(secret === true ? [`or ${name}_FILE`] : [])
      ]
      return `  ${name.padEnd(30)}${description}${notes.length === 0 ? '' : ` (${notes.join('; ')})`}`
    })
    .join('\n')
}

/** A variable that is nearly one of ours may be the application's own, if ours is set as well. */
function misspeltVariables(environment: NodeJS.ProcessEnv): Config['misspelt'] {
  const known = variables.flatMap(([name, { secret }]) => (secret === true ? [name, `${name}_FILE`] : [name]))
  const missing = known.filter(name => !environment[name])
  return Object.keys(environment)
    .filter(name => environment[name] && !known.includes(name))
    .flatMap(given => {
      const meant = nearestName(given, missing)
      return meant === null ? [] : [{ given, meant }]
    })
}

function readVariables(environment: NodeJS.ProcessEnv, problems: string[]): Record<string, string> {
  const given: Record<string, string> = {}
  for (const [name, { secret }] of variables) {
    const value = environment[name]
    const file = secret === true ? environment[`${name}_FILE`] : undefined
    if (value) given[name] = value
    if (!file) continue
    if (value) {
      problems.push(`${name} and ${name}_FILE are both set: set only one of them.`)
      continue
    }
    try {
      const content = readFileSync(file, 'utf8').trim()
      if (content === '') problems.push(`${name}_FILE names an empty file: write the value into it.`)
      else given[name] = content
    } catch (error) {
      problems.push(
        `${name}_FILE names a file that can't be read (${systemCode(error) ?? 'unknown'}): correct the path or its permissions.`
      )
    }
  }
  return given
}

function makeConfig(
  values: Static<typeof Environment>,
  isGiven: (name: string) => boolean,
  wrong: ReadonlySet<string | undefined>,
  problems: string[]
): Omit<Config, 'misspelt'> {
  const uploadDir = resolve(values.UPLOAD_DIR)
  const backupDir = values.BACKUP_DIR === undefined ? resolve(uploadDir, 'backups') : resolve(values.BACKUP_DIR)
  if (isGiven('DATABASE_URL')) collect(problems, () => parseConnectionUrl(values.DATABASE_URL ?? ''))
  const tenancyFile = values.TENANCY_FILE === undefined ? null : resolve(values.TENANCY_FILE)
  if (tenancyFile !== null) collect(problems, () => checkTenancyFile(tenancyFile))
  const pgBinDir = values.PG_BIN_DIR === undefined ? null : resolve(values.PG_BIN_DIR)
  if (pgBinDir !== null) problems.push(...missingPrograms(pgBinDir))
  const embedded = values.USE_EMBEDDED_DB ?? !isGiven('DATABASE_URL')
  const embeddedDir = resolve(values.EMBEDDED_DB_DIR)

  if (!isGiven('JWT_SECRET') && !isGiven('JWT_PUBLIC_KEY') && problems.length === 0) {
    problems.push(
      'JWT_SECRET is not set: set it to the secret of at least 32 characters that your tokens are signed with (openssl rand -hex 32 makes one), or set JWT_PUBLIC_KEY.'
    )
  }
  if (!isGiven('JWT_SECRET') && !isGiven('BACKUP_SIGNING_KEY') && isGiven('JWT_PUBLIC_KEY')) {
    problems.push(
      'BACKUP_SIGNING_KEY is not set, and without JWT_SECRET there is no other secret to sign archives with: set it (openssl rand -hex 32 makes one).'
    )
  }
  if (embedded && isGiven('DATABASE_URL')) {
    problems.push('USE_EMBEDDED_DB=true contradicts DATABASE_URL: unset one of them.')
  }
  if (!embedded && !isGiven('DATABASE_URL') && !wrong.has('USE_EMBEDDED_DB')) {
    problems.push('USE_EMBEDDED_DB=false needs DATABASE_URL: set it, or unset USE_EMBEDDED_DB.')
  }
  if (values.FILE_STORAGE_TYPE === 'smb') {
    for (const name of ['SMB_HOST', 'SMB_SHARE'] as const) {
      if (!isGiven(name)) problems.push(`FILE_STORAGE_TYPE=smb needs ${name}: set it, or set FILE_STORAGE_TYPE=local.`)
    }
  }
  const folders = [
    { name: 'UPLOAD_DIR', path: uploadDir },
    { name: 'BACKUP_DIR', path: backupDir }
  ]
  if (embedded) folders.push({ name: 'EMBEDDED_DB_DIR', path: embeddedDir })
  problems.push(...overlaps(folders))

  return {
    host: values.HOST,
    port: values.PORT,
    publicUrl: readPublicUrl(values.PUBLIC_URL, problems),
    trustProxy: readTrustedProxies(values.TRUST_PROXY, problems),
    logLevel: values.LOG_LEVEL,
    rateLimit: values.RATE_LIMIT,
    maxJobs: values.MAX_JOBS,
    jwtSecret: values.JWT_SECRET ?? null,
    jwtPublicKey: values.JWT_PUBLIC_KEY === undefined ? null : readPublicKey(values.JWT_PUBLIC_KEY, problems),
    signing: signingKeys(values, problems),
    backupDir,
    makeUploadDir: !isGiven('UPLOAD_DIR') && (values.FILE_STORAGE_TYPE === 'local' || !isGiven('BACKUP_DIR')),
    database: embedded
      ? { kind: 'embedded', directory: embeddedDir }
      : { kind: 'external', url: values.DATABASE_URL ?? '' },
    storage:
      values.FILE_STORAGE_TYPE === 'smb'
        ? {
            kind: 'smb',
            host: values.SMB_HOST ?? '',
            share: values.SMB_SHARE ?? '',
            username: values.SMB_USERNAME ?? null,
            domain: values.SMB_DOMAIN ?? null
          }
        : { kind: 'local' },
    settings: {
      version,
      uploadDir,
      databaseScope: values.DATABASE_SCOPE,
      tenantTable: values.TENANT_TABLE,
      tenancyFile,
      checkpointRetentionMs: milliseconds(values.CHECKPOINT_RETENTION ?? '0'),
      compression: values.COMPRESSION,
      uploadMaxBytes: values.UPLOAD_MAX_BYTES ?? null,
      loadTimeoutMs: values.LOAD_TIMEOUT === undefined ? null : milliseconds(values.LOAD_TIMEOUT),
      acceptUnsignedArchives: values.ACCEPT_UNSIGNED_ARCHIVES,
      pgBinDir
    }
  }
}

/** A former value may have been either: the key itself, or the JWT_SECRET that it was made from. */
function signingKeys(
  { BACKUP_SIGNING_KEY: key, BACKUP_SIGNING_KEY_PREVIOUS: former, JWT_SECRET: secret }: Static<typeof Environment>,
  problems: string[]
): SigningKeys {
  const previous = (former ?? '').split(/\r?\n/).filter(line => line !== '')
  if (previous.some(line => line.length < 32))
    problems.push('BACKUP_SIGNING_KEY_PREVIOUS must be keys of at least 32 characters, one a line.')
  return {
    current: key === undefined ? derivedKey(secret ?? '') : givenKey(key),
    previous: previous.flatMap(line => [givenKey(line), derivedKey(line)])
  }
}

/** A restore replaces an organization's upload folder as a whole, so nothing of ours may be one or lie in one. */
function overlaps(folders: Array<{ name: string; path: string }>): string[] {
  const found = new Set<string>()
  for (const outer of folders) {
    for (const inner of folders) {
      if (outer === inner) continue
      const below = relative(outer.path, inner.path)
      const [first = ''] = below.split(sep)
      if (below === '') {
        found.add(`${[outer.name, inner.name].sort().join(' and ')} are the same folder: set them to different ones.`)
      } else if (
        first !== '..' &&
        !isAbsolute(below) &&
        (outer.name === 'EMBEDDED_DB_DIR' || isOrganizationId(first))
      ) {
        const inside =
          outer.name === 'EMBEDDED_DB_DIR'
            ? 'is inside EMBEDDED_DB_DIR'
            : `is where ${outer.name} keeps an organization called "${first}"`
        found.add(`${inner.name} ${inside}: move it out of ${outer.name}.`)
      }
    }
  }
  return [...found]
}

function readPublicKey(text: string, problems: string[]): Config['jwtPublicKey'] {
  // A PEM in one line, as environment files need it, has \n written out.
  const pem = text.replaceAll('\\n', '\n')
  try {
    if (pem.includes('PRIVATE KEY')) throw new TypeError('a private key')
    const { asymmetricKeyType, asymmetricKeyDetails } = createPublicKey(pem)
    if (asymmetricKeyType === 'rsa' && (asymmetricKeyDetails?.modulusLength ?? 0) >= 2048)
      return { pem, algorithm: 'RS256' }
    if (asymmetricKeyType === 'ec' && asymmetricKeyDetails?.namedCurve === 'prime256v1')
      return { pem, algorithm: 'ES256' }
  } catch {
    // What is wrong with the key does not matter to the reader, and OpenSSL's words could quote it.
  }
  problems.push('JWT_PUBLIC_KEY must be a public key in PEM: RSA of at least 2048 bits (RS256) or EC P-256 (ES256).')
  return null
}

/** It is read again whenever it is needed, so that it can be changed without a restart. */
function checkTenancyFile(path: string): void {
  let content: string
  try {
    content = readFileSync(path, 'utf8')
  } catch (error) {
    throw new AppError(
      'CONFIG_INVALID',
      'tenancy-file-unreadable',
      `TENANCY_FILE can't be read (${systemCode(error) ?? 'unknown'}).`,
      { remedy: 'Correct the path or its permissions.' }
    )
  }
  parseTenancy(content)
}

/** Programs from elsewhere would hide that the folder is not the one that was meant. */
function missingPrograms(folder: string): string[] {
  return ['pg_dump', 'psql'].flatMap(program => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return []
    } catch (error) {
      return [
        `PG_BIN_DIR holds no ${program} that can be run (${systemCode(error) ?? 'unknown'}): set it to the folder that holds pg_dump and psql, or unset it to have them found.`
      ]
    }
  })
}

function collect(problems: string[], check: () => unknown): void {
  try {
    check()
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    problems.push(`${error.message} ${error.remedy}`)
  }
}

const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Milliseconds of a duration such as `24h`; `0` needs no unit. */
function milliseconds(duration: string): number {
  const [, amount = '0', unit] = new RegExp(durationPattern).exec(duration) ?? []
  return Number(amount) * unitMs[(unit ?? 'ms') as keyof typeof unitMs]
}
