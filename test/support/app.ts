import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import jwt from '@fastify/jwt'
import Fastify, { type FastifyInstance } from 'fastify'
import { pino, type Logger } from 'pino'
import { buildApp } from '../../src/app.js'
import { type Config, loadConfig } from '../../src/config.js'
import type { Core } from '../../src/core.js'
import { createCore } from '../../src/create-core.js'
import { createJobs } from '../../src/create-jobs.js'
import type { Gate } from '../../src/jobs/gate.js'
import type { Queue } from '../../src/jobs/queue.js'
import { operations } from '../../src/operations/all.js'
import { withWork } from './work.js'

/** The part of tap's `t` that is needed here. */
interface Test {
  teardown(fn: () => Promise<void>): unknown
}

export interface TestAppOptions {
  /** Of a database that the test owns. Without one nothing listens there, which `files` backups do not mind. */
  databaseUrl?: string
  env?: NodeJS.ProcessEnv
  log?: Logger
}

export interface TestApp {
  app: FastifyInstance
  config: Config
  core: Core
  jobs: Queue
  gate: Gate
  uploadDir: string
  backupDir: string
  /** An access token; `claims` are added to it or replace its own, undefined removes one. */
  token(role?: string, organizationId?: string, claims?: Record<string, unknown>): string
  /** The Authorization header with such a token. */
  as(role?: string, organizationId?: string, claims?: Record<string, unknown>): { authorization: string }
}

export const testSecret = 'a secret for tests, which is long enough'

/** The whole service on folders of its own, closed and removed at teardown. */
export async function buildTestApp(
  t: Test,
  { databaseUrl, env = {}, log = pino({ level: 'silent' }) }: TestAppOptions = {}
): Promise<TestApp> {
  const folder = await mkdtemp(join(tmpdir(), 'backup-app-'))
  const uploadDir = join(folder, 'uploads')
  const backupDir = join(folder, 'backups')
  await mkdir(uploadDir)
  await mkdir(backupDir)

  const config = loadConfig({
    JWT_SECRET: testSecret,
    DATABASE_URL: databaseUrl ?? 'postgresql://nobody:secret@127.0.0.1:1/nothing',
    UPLOAD_DIR: uploadDir,
    BACKUP_DIR: backupDir,
    RATE_LIMIT: '100000',
    ...env
  })
  const core = createCore(config, log)
  const jobs = createJobs(core, { places: config.maxJobs, operations: withWork(operations) })
  const app = await buildApp({ config, core, jobs })
  t.teardown(async () => {
    await app.close()
    await rm(folder, { recursive: true })
  })
  await app.ready()
  const sign = await signer(testSecret)
  const token: TestApp['token'] = (role = 'OWNER', organizationId = 'acme', claims = {}) =>
    sign({
      type: 'access',
      sub: 'user-1',
      email: 'olivia@example.com',
      organizationId,
      role,
      ...claims
    })
  return {
    app,
    config,
    core,
    jobs: jobs.queue,
    gate: jobs.gate,
    uploadDir,
    backupDir,
    token,
    as: (...claims) => ({ authorization: `Bearer ${token(...claims)}` })
  }
}

/** Signs claims as the main application would. */
export async function signer(secret: string): Promise<(claims: object) => string> {
  const signing = Fastify()
  await signing.register(jwt, { secret })
  await signing.ready()
  return claims => signing.jwt.sign(claims)
}
