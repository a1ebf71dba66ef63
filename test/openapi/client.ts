import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { createClient } from '../../openapi/client.js'
import { buildTestApp } from '../support/app.js'

t.test('the generated client does the main job', async t => {
  const { app, token, uploadDir } = await buildTestApp(t)
  await mkdir(join(uploadDir, 'acme'))
  await writeFile(join(uploadDir, 'acme', 'manual.pdf'), 'a manual')
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  const client = createClient(address, token())

  const created = await client.POST('/api/backup/create', { body: { type: 'files', description: 'By the client' } })
  t.equal(created.response.status, 201)
  const { data: backups = [] } = await client.GET('/api/backup/list', { params: { query: { type: 'files' } } })
  t.same(backups, [created.data])
  const [backup] = backups
  const path = { backupId: backup?.id ?? '' }
  const { data: archive } = await client.GET('/api/backup/{backupId}/download', {
    params: { path },
    parseAs: 'arrayBuffer'
  })
  t.equal(archive?.byteLength, backup?.size)
  const { data: deleted } = await client.DELETE('/api/backup/{backupId}', { params: { path } })
  t.same(deleted, { message: 'Backup deleted successfully', backupId: path.backupId })
  const { error } = await client.GET('/api/backup/{backupId}', { params: { path } })
  t.match(error, { statusCode: 404, code: 'BACKUP_NOT_FOUND' })
  t.equal((await createClient(address).GET('/api/backup/list')).error?.code, 'UNAUTHORIZED')
})
