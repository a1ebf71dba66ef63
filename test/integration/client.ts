import { appendFile, rm } from 'node:fs/promises'
import path from 'node:path'
import t from 'tap'
import { createClient } from '../../openapi/client.js'
import { checksumDatabase, checksumFolder } from '../../sample/checksums.js'
import { writeSampleFiles } from '../../sample/files.js'
import { loadSampleRows } from '../../sample/rows.js'
import { loadSampleSchema } from '../../sample/schema.js'
import { makeToken } from '../../scripts/demo/access.js'
import { startService } from '../../scripts/demo/service.js'
import { withSql } from '../../src/database/connection/connection.js'
import type { Backup } from '../../src/repository/record.js'
import { createTestDatabase } from '../support/postgres.js'

const jwtSecret = 'generated client '.repeat(3)

t.test('the generated client does the whole job on an external database', async t => {
  const { connection, url } = await createTestDatabase(t)
  const service = await startService({ jwtSecret, environment: { DATABASE_URL: url, DATABASE_SCOPE: 'instance' } })
  t.teardown(service.remove)
  const uploads = path.join(service.uploadDir, 'acme')

  await withSql(connection, {}, async sql => {
    await loadSampleSchema(sql)
    await loadSampleRows(sql, { organizations: ['acme', 'globex'], assetsPerOrganization: 30, seed: 9 })
  })
  await writeSampleFiles(service.uploadDir, 'acme', { files: 40, seed: 9 })
  const look = async () => ({
    database: await withSql(connection, {}, checksumDatabase),
    files: await checksumFolder(uploads)
  })
  const before = await look()

  const client = createClient(service.baseUrl, await makeToken(jwtSecret, 'acme'))
  const created = await client.POST('/api/backup/create', { body: { type: 'full', description: 'End to end' } })
  t.equal(created.response.status, 201)
  const backup = created.data as Backup
  t.match(backup, {
    type: 'full',
    organizationId: 'acme',
    databaseType: 'external',
    databaseScope: 'instance',
    fileStorageType: 'local',
    includesDatabase: true,
    includesFiles: true,
    description: 'End to end',
    state: 'available',
    warnings: [],
    counts: { tables: 16, files: before.files.files, bytes: before.files.bytes }
  })
  const params = { path: { backupId: backup.id } }

  t.strictSame((await client.GET('/api/backup/list')).data, [backup])
  t.strictSame((await client.GET('/api/backup/{backupId}', { params })).data, backup)

  const rehearsed = await client.POST('/api/backup/restore/{backupId}', { params, body: { dryRun: true } })
  t.equal(rehearsed.response.status, 200)
  t.match(rehearsed.data, { message: 'Dry run completed successfully', backupId: backup.id, dryRun: true })
  t.strictSame(await look(), before, 'a dry run changes nothing')

  await withSql(connection, {}, async sql => {
    await sql`DELETE FROM assets WHERE number % 2 = 0`
    await sql`DROP TABLE comments`
  })
  await rm(path.join(uploads, 'assets'), { recursive: true })
  await appendFile(path.join(uploads, 'logo.png'), 'x')
  t.notSame((await look()).files, before.files)

  const restored = await client.POST('/api/backup/restore/{backupId}', { params, body: {} })
  t.equal(restored.response.status, 200)
  t.match(restored.data, { message: 'Restore completed successfully', backupId: backup.id, dryRun: false })
  t.strictSame(await look(), before, 'everything is back')

  const deleted = await client.DELETE('/api/backup/{backupId}', { params })
  t.strictSame(deleted.data, { message: 'Backup deleted successfully', backupId: backup.id })
  t.strictSame((await client.GET('/api/backup/list')).data, [])

  const gone = await client.GET('/api/backup/{backupId}', { params })
  t.equal(gone.response.status, 404)
  t.match(gone.error, { statusCode: 404, error: 'Not Found', code: 'BACKUP_NOT_FOUND' })

  const stranger = createClient(service.baseUrl, 'not.a.token')
  t.match((await stranger.GET('/api/backup/list')).error, { statusCode: 401, code: 'UNAUTHORIZED' })
})
