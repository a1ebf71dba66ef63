import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { AppError } from '../../src/errors.js'
import { durableRename, fileError, writeFileDurably } from '../../src/io/durable.js'
import { testFolder } from '../support/archive.js'

t.test('a file is replaced as a whole, and nobody else can read it', async t => {
  const path = join(await testFolder(t), 'file')
  await writeFileDurably(path, 'first')
  const writers = Array.from(
    { length: 30 },
    async (_, index) => await writeFileDurably(path, `${index} `.repeat(10_000))
  )
  const seen = await Promise.all(Array.from({ length: 30 }, async () => await readFile(path, 'utf8')))
  await Promise.all(writers)
  for (const text of [...seen, await readFile(path, 'utf8')]) t.match(text, /^(first|(\d+ )\2*)$/)
  t.equal((await stat(path)).mode & 0o777, 0o600)
})

t.test('a write that fails leaves nothing of its own', async t => {
  const folder = await testFolder(t)
  await mkdir(join(folder, 'taken/inside'), { recursive: true })
  await t.rejects(writeFileDurably(join(folder, 'taken'), 'text'), { code: /EISDIR|EEXIST|ENOTEMPTY/ })
  t.strictSame(await readdir(folder), ['taken'])
  await t.rejects(writeFileDurably(join(folder, 'absent/file'), 'text'), { code: 'ENOENT' })
})

t.test('a rename between folders', async t => {
  const folder = await testFolder(t)
  await mkdir(join(folder, 'to'))
  await writeFile(join(folder, 'file'), 'text')
  await durableRename(join(folder, 'file'), join(folder, 'to/file'))
  t.strictSame(await readdir(folder), ['to'])
  t.equal(await readFile(join(folder, 'to/file'), 'utf8'), 'text')
})

t.test('errors of the file system are translated, others pass', async t => {
  const system = (code: string) => Object.assign(new Error(`${code}: /secret/path`), { code })
  for (const code of ['ENOSPC', 'EDQUOT'])
    t.match(fileError(system(code), 'REPOSITORY_UNAVAILABLE', 'Writing'), { code: 'DISK_FULL' })
  for (const code of ['EACCES', 'EROFS', 'EIO', 'ENOENT', 'E2BIG']) {
    const error = fileError(system(code), 'STORAGE_UNAVAILABLE', 'Reading')
    t.match(error, { code: 'STORAGE_UNAVAILABLE', message: new RegExp(`^Reading failed \\(${code}\\)[.:]`) })
    t.notMatch((error as AppError).message, '/secret', 'no path of the host')
  }
  const own = new AppError('JOB_CANCELLED', 'job-cancelled', 'Cancelled.')
  for (const error of [
    own,
    new Error('bug'),
    system('ERR_INVALID_ARG_TYPE'),
    system('42P01'),
    system('ABORT_ERR'),
    null
  ]) {
    t.equal(fileError(error, 'STORAGE_UNAVAILABLE', 'Reading'), error)
  }
})
