import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { execa } from 'execa'
import t from 'tap'
import { createClient } from '../../openapi/client.js'
import { checksumDatabase, checksumFolder } from '../../sample/checksums.js'
import { writeSampleFiles } from '../../sample/files.js'
import { loadSampleRows } from '../../sample/rows.js'
import { loadSampleSchema } from '../../sample/schema.js'
import { makeToken } from '../../scripts/demo/access.js'
import { startService } from '../../scripts/demo/service.js'
import { toEnvironment } from '../../src/database/connection/connection.js'
import { findPostgresTools } from '../../src/database/postgres-tools.js'
import type { Backup } from '../../src/repository/record.js'
import { createTestDatabase } from '../support/postgres.js'

const jwtSecret = 'by-hand '.repeat(8)

t.test('an archive is checked and restored with unzip, sha256sum, gunzip and psql alone', async t => {
  const source = await createTestDatabase(t)
  await loadSampleSchema(source.sql)
  await loadSampleRows(source.sql, { organizations: ['acme', 'globex'], assetsPerOrganization: 40, seed: 5 })
  const service = await startService({
    jwtSecret,
    environment: { DATABASE_URL: source.url, DATABASE_SCOPE: 'instance' }
  })
  t.teardown(service.remove)
  await writeSampleFiles(service.uploadDir, 'acme', { files: 60, seed: 5 })

  const client = createClient(service.baseUrl, await makeToken(jwtSecret, 'acme'))
  const created = await client.POST('/api/backup/create', { body: { type: 'full' } })
  t.equal(created.response.status, 201)
  const backup = created.data as Backup
  const archive = path.join(service.backupDir, 'acme', `backup-${backup.id}.zip`)

  const folder = await mkdtemp(path.join(tmpdir(), 'by-hand-'))
  t.teardown(async () => {
    await rm(folder, { recursive: true, force: true })
  })
  const byHand = { cwd: folder, env: { LC_ALL: 'C.UTF-8' } }
  await execa('unzip', ['-q', archive], byHand)

  await t.test('sha256sum accepts every entry, and notices a changed one', async t => {
    const { stdout } = await execa('sha256sum', ['-c', 'SHA256SUMS'], byHand)
    // All but SHA256SUMS itself: metadata.json, the dump, and every file.
    t.equal(stdout.split('\n').filter(line => line.endsWith(': OK')).length, backup.counts.files + 2)

    const victim = path.join(folder, 'files/acme/logo.png')
    const original = await readFile(victim)
    await writeFile(victim, 'changed')
    const check = await execa('sha256sum', ['-c', 'SHA256SUMS'], { ...byHand, reject: false })
    t.equal(check.exitCode, 1)
    t.match(check.stdout, 'files/acme/logo.png: FAILED')
    await writeFile(victim, original)
  })

  await t.test('psql loads the dump into an empty database', async t => {
    const target = await createTestDatabase(t)
    const [server] = await target.sql<
      { major: number }[]
    >`SELECT current_setting('server_version_num')::int / 10000 AS major`
    const { psql } = await findPostgresTools({ binDir: process.env.PG_BIN_DIR ?? null, serverMajor: server!.major })
    const gunzip = spawn('gunzip', ['-c', 'database.sql.gz'], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] })
    const unzipped = once(gunzip, 'exit')
    await execa(psql, ['-X', '-q', '-v', 'ON_ERROR_STOP=1'], {
      env: toEnvironment(target.connection),
      input: gunzip.stdout
    })
    t.strictSame(await unzipped, [0, null])

    t.strictSame(await checksumDatabase(target.sql), await checksumDatabase(source.sql))
  })

  await t.test('unzip brings back every upload with its content, mode and time', async t => {
    // Once more, since the test above has written to one of them.
    await execa('unzip', ['-q', '-o', archive, 'files/*'], byHand)
    // unzip takes the time from the local header, which counts in steps of two seconds (APPNOTE.TXT, 4.4.6).
    const byUnzip = await checksumFolder(path.join(folder, 'files/acme'), { timeStep: 2 })
    t.strictSame(byUnzip, await checksumFolder(path.join(service.uploadDir, 'acme'), { timeStep: 2 }))
  })
})
