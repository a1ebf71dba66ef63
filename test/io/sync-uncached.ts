import { open, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import { execa } from 'execa'
import t from 'tap'
import { exists } from '../../src/io/exists.js'
import { syncUncached } from '../../src/io/sync-uncached.js'
import { testFolder } from '../support/archive.js'

t.test('the file stays as it is, and what comes after it follows', async t => {
  const path = join(await testFolder(t), 'of=a file')
  const handle = await open(path, 'wx')
  t.teardown(async () => {
    await handle.close()
  })
  const content = randomBytes(3 << 20)
  await handle.write(content)
  await syncUncached(handle)
  // Where the tool that tells is installed. A file system in memory keeps what it has, and others have caches of their
  // own.
  const cached = await execa('fincore', ['--noheadings', '--bytes', '--output=RES', path]).then(
    ({ stdout }) => Number(stdout),
    () => null
  )
  const { stdout: fileSystem } = await execa('stat', ['--file-system', '--format=%T', path])
  if (cached === null || !['ext2/ext3', 'xfs'].includes(fileSystem))
    t.comment("whether the page cache has dropped it can't be told here")
  else t.equal(cached, 0, 'the page cache has dropped it')
  await handle.write(Buffer.from('more'))
  await syncUncached(handle)
  t.ok((await readFile(path)).equals(Buffer.concat([content, Buffer.from('more')])))
  t.equal((await stat(path)).mode & 0o777, 0o666 & ~process.umask())
})

t.test('a file that was removed meanwhile does not come back', async t => {
  const path = join(await testFolder(t), 'gone')
  const handle = await open(path, 'wx')
  t.teardown(async () => {
    await handle.close()
  })
  await handle.write(Buffer.from('content'))
  await rm(path)
  await syncUncached(handle)
  t.notOk(await exists(path))
})

t.test('what took the place of the file is left alone', async t => {
  const path = join(await testFolder(t), 'file')
  const handle = await open(path, 'wx')
  t.teardown(async () => {
    await handle.close()
  })
  await handle.write(Buffer.from('content'))
  await rename(path, `${path} away`)
  await execa('mkfifo', [path])
  // Whoever opened a FIFO would wait for its reader, for ever.
  await syncUncached(handle)
  t.ok((await stat(path)).isFIFO())
  t.equal(await readFile(`${path} away`, 'utf8'), 'content')
})

t.test('a file that is closed meanwhile, as that of a backup that is cancelled', async t => {
  const handle = await open(join(await testFolder(t), 'file'), 'wx')
  await handle.write(Buffer.from('content'))
  const synced = syncUncached(handle).catch((error: { code?: string }) => error.code)
  await handle.close()
  t.ok([undefined, 'EBADF'].includes((await synced) as string | undefined))
})
