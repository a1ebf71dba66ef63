import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import t from 'tap'
import { fromBufferPromise } from 'yauzl'
import { ZipFile } from 'yazl'
import type { Backup } from '../../src/repository/record.js'
import { buildTestApp } from '../support/app.js'

t.test('a misspelt or misplaced dryRun starts no restore, and the answer names what there is', async t => {
  const { app, as, uploadDir, backupDir } = await buildTestApp(t)
  await mkdir(join(uploadDir, 'acme'))
  const post = async (path: string, payload?: object) =>
    await app.inject({ method: 'POST', url: `/api/backup/${path}`, headers: as(), payload })
  const { id } = (await post('create', { type: 'files' })).json<Backup>()
  const refused = async (path: string, payload: object | undefined, field: string, message: string | RegExp) => {
    t.match(
      (await post(path, payload)).json(),
      { statusCode: 400, code: 'VALIDATION_FAILED', errors: [{ field, message }] },
      `${path} ${JSON.stringify(payload)}`
    )
  }
  const known = 'unexpected property: expected are validateChecksum, rollbackOnFailure, dryRun'
  await refused(`restore/${id}`, { dryrun: true }, 'body.dryrun', known)
  await refused(`restore/${id}`, { dry_run: true }, 'body.dry_run', known)
  await refused(
    `restore/${id}?dryRun=true`,
    undefined,
    'querystring.dryRun',
    /fields in its JSON body, none in its address/
  )
  await refused(`restore/${id}?dryrun=true`, {}, 'querystring.dryrun', /fields in its JSON body/)
  t.same(await readdir(join(backupDir, 'acme', 'restores')).catch(() => []), [], 'nothing was begun')

  const { restoreId } = (await post(`restore/${id}`, {})).json<{ restoreId: string }>()
  await refused(
    `restores/${restoreId}/undo`,
    { dryRun: true },
    'body.dryRun',
    /an undo takes no fields and has no dry run/
  )
  await refused(`restores/${restoreId}/undo?dryRun=true`, undefined, 'querystring.dryRun', /unexpected property/)
  t.equal((await post(`restores/${restoreId}/undo`)).statusCode, 200)
  t.match((await app.inject({ url: '/api/backup/list?limt=5', headers: as() })).json(), {
    errors: [{ field: 'querystring.limt', message: /expected are type, limit, cursor/ }]
  })
})

t.test('an id that is none says what one looks like', async t => {
  const { app, as } = await buildTestApp(t)
  for (const [path, field] of [
    ['backup-123.zip', 'backupId'],
    ['jobs/7', 'jobId'],
    ['123/download', 'backupId']
  ] as const) {
    t.match((await app.inject({ url: `/api/backup/${path}`, headers: as() })).json(), {
      statusCode: 400,
      code: 'VALIDATION_FAILED',
      errors: [{ field: `params.${field}`, message: /^expected: Id of the (backup|job), such as [0-9a-f-]{36}$/ }]
    })
  }
})

t.test('a token without the word Bearer is told apart from none', async t => {
  const { app, as, token } = await buildTestApp(t)
  const ask = async (headers: Record<string, string>) =>
    (await app.inject({ url: '/api/backup/list', headers })).json<object>()
  t.match(await ask({}), { statusCode: 401, reason: 'no-token' })
  for (const authorization of [token(), `Basic ${token()}`, `Bearer${token()}`]) {
    const answer = await ask({ authorization })
    t.match(answer, { statusCode: 401, reason: 'not-bearer', remedy: /Authorization: Bearer <JWT>/ })
    t.notMatch(JSON.stringify(answer), token().slice(0, 20))
  }
  t.same(await ask(as()), [])
})

t.test('an archive that is empty, or was unpacked and packed again', async t => {
  const { app, as, uploadDir, backupDir } = await buildTestApp(t)
  await mkdir(join(uploadDir, 'acme', 'photos'), { recursive: true })
  await writeFile(join(uploadDir, 'acme', 'photos', 'one'), 'a photo '.repeat(99))
  const { id } = (
    await app.inject({ method: 'POST', url: '/api/backup/create', headers: as(), payload: { type: 'files' } })
  ).json<Backup>()
  const archive = (await app.inject({ url: `/api/backup/${id}/download`, headers: as() })).rawPayload
  const again = await packAgain(archive)

  const upload = async (payload: Buffer, type = 'application/zip') =>
    (
      await app.inject({
        method: 'POST',
        url: '/api/backup/upload',
        headers: { ...as(), 'content-type': type },
        payload
      })
    ).json<object>()
  t.match(await upload(Buffer.alloc(0)), {
    statusCode: 422,
    code: 'ARCHIVE_INVALID',
    reason: 'empty-upload',
    remedy: /-T backup-/
  })
  t.match(await upload(again), {
    statusCode: 422,
    code: 'ARCHIVE_INVALID',
    remedy: /as it was downloaded: one that was unpacked and packed again is not taken/
  })

  await writeFile(join(backupDir, 'acme', `backup-${id}.zip`), again)
  const restore = async (payload: object) =>
    (await app.inject({ method: 'POST', url: `/api/backup/restore/${id}`, headers: as(), payload })).json<object>()
  t.match(await restore({}), {
    statusCode: 422,
    code: 'CHECKSUM_MISMATCH',
    reason: 'archive-digest-differs',
    remedy: /packed again/
  })
  t.match(await restore({ validateChecksum: false }), {
    statusCode: 422,
    code: 'ARCHIVE_INVALID',
    remedy: /unpacked and packed again/
  })

  const form = (head: string): Buffer =>
    Buffer.concat([
      Buffer.from(`--B\r\nContent-Disposition: form-data; ${head}\r\n\r\n`),
      archive,
      Buffer.from('\r\n--B--\r\n')
    ])
  const asForm = 'multipart/form-data; boundary=B'
  t.match(await upload(form('name="file"; filename="a.zip"'), asForm), {
    statusCode: 400,
    errors: [{ field: 'body.file', message: /expected is archive, a file/ }]
  })
  t.match(
    await upload(
      Buffer.from('--B\r\nContent-Disposition: form-data; name="archive"\r\n\r\na.zip\r\n--B--\r\n'),
      asForm
    ),
    { statusCode: 400, errors: [{ field: 'body.archive', message: 'expected a file, not text' }] }
  )
})

/** As people's programs do it: the same entries in the same order, with the folder that they are in. */
async function packAgain(archive: Buffer): Promise<Buffer> {
  const unpacked = await fromBufferPromise(archive)
  const packed = new ZipFile()
  packed.addEmptyDirectory('files/')
  for await (const entry of unpacked.eachEntry()) {
    if (entry.fileName.endsWith('/')) packed.addEmptyDirectory(entry.fileName)
    else packed.addBuffer(await buffer(await unpacked.openReadStreamPromise(entry)), entry.fileName)
  }
  packed.end()
  return await buffer(packed.outputStream)
}
