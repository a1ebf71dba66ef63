import { once } from 'node:events'
import fs from 'node:fs'
import { chmod, lstat, mkdir, readlink, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { execa } from 'execa'
import t from 'tap'
import { listTree } from '../../src/storage/list-tree.js'
import { createLocalStorage } from '../../src/storage/local.js'
import type { StorageStrategy } from '../../src/storage/strategy.js'
import { testFolder } from '../support/archive.js'

async function uploads(
  t: Parameters<typeof testFolder>[0]
): Promise<{ storage: StorageStrategy; uploadDir: string; root: string }> {
  const uploadDir = await testFolder(t, 'uploads-')
  const root = join(uploadDir, 'acme')
  await mkdir(root, { mode: 0o750 })
  return { storage: createLocalStorage({ uploadDir }), uploadDir, root }
}

const pathsOf = async (storage: StorageStrategy) => [...(await storage.list('acme')).entries].map(({ path }) => path)

t.test('every file and folder with its size, mode and time', async t => {
  const { storage, root } = await uploads(t)
  await mkdir(join(root, 'empty'))
  await writeFile(join(root, 'a.txt'), 'four')
  await chmod(join(root, 'a.txt'), 0o4604)
  await chmod(join(root, 'empty'), 0o1777)
  const before1970 = new Date('1950-01-01T00:00:00Z')
  await utimes(join(root, 'a.txt'), before1970, before1970)
  const { entries, warnings } = await storage.list('acme')
  t.strictSame(warnings, [])
  t.match(
    [...entries],
    [
      { kind: 'folder', path: '', size: 0, mode: 0o750 },
      { kind: 'file', path: 'a.txt', size: 4, mode: 0o4604, mtime: before1970 },
      { kind: 'folder', path: 'empty', size: 0, mode: 0o1777 }
    ]
  )
})

t.test('a folder is followed by what is in it, names in byte order', async t => {
  const { storage, root } = await uploads(t)
  for (const folder of ['b', 'b/c', 'B']) await mkdir(join(root, folder))
  for (const file of ['b-1', 'b/z', 'b/c/d', 'a', 'é', '😀', '￿', 'Z', ' ', '-rf', 'new\nline'])
    await writeFile(join(root, file), '')
  t.strictSame(await pathsOf(storage), [
    '',
    ' ',
    '-rf',
    'B',
    'Z',
    'a',
    'b',
    'b/c',
    'b/c/d',
    'b/z',
    'b-1',
    'new\nline',
    'é',
    '￿',
    '😀'
  ])
})

t.test('links, FIFOs and sockets are neither opened nor followed', async t => {
  const { storage, root } = await uploads(t)
  await mkdir(join(root, 'real'))
  await writeFile(join(root, 'real/file'), '')
  for (const [name, target] of [
    ['to-file', 'real/file'],
    ['to-folder', 'real'],
    ['to-secret', '/etc/passwd'],
    ['to-root', '/'],
    ['to-nothing', 'nowhere'],
    ['to-itself', 'to-itself']
  ] as const) {
    await symlink(target, join(root, name))
  }
  await execa('mkfifo', [join(root, 'fifo')])
  const server = createServer().listen(join(root, 'socket'))
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
  })

  const { entries, warnings } = await storage.list('acme')
  t.strictSame(
    [...entries].map(({ path }) => path),
    ['', 'real', 'real/file']
  )
  const left = ['fifo', 'socket', 'to-file', 'to-folder', 'to-itself', 'to-nothing', 'to-root', 'to-secret']
  t.strictSame(
    warnings.sort(),
    left.map(name => `Left out "${name}": it is no regular file or folder.`)
  )
  for (const name of [...left, 'real', 'to-folder/file', 'real/file/below', 'absent'])
    t.equal(await storage.open('acme', name), null, name)
})

t.test('a folder that became a link after the listing is not followed', async t => {
  const { storage, root, uploadDir } = await uploads(t)
  await mkdir(join(uploadDir, 'globex/photos'), { recursive: true })
  await writeFile(join(uploadDir, 'globex/photos/cat.png'), "another organization's")
  await mkdir(join(root, 'photos'))
  await writeFile(join(root, 'photos/cat.png'), 'ours')
  t.strictSame(await pathsOf(storage), ['', 'photos', 'photos/cat.png'])
  await rename(join(root, 'photos'), join(root, 'before'))
  await symlink(join(uploadDir, 'globex/photos'), join(root, 'photos'))
  t.equal(await storage.open('acme', 'photos/cat.png'), null)
})

t.test('UPLOAD_DIR itself may be a link', async t => {
  const { root, uploadDir } = await uploads(t)
  await writeFile(join(root, 'a.txt'), 'text')
  const link = join(await testFolder(t), 'link')
  await symlink(uploadDir, link)
  const handle = await createLocalStorage({ uploadDir: link }).open('acme', 'a.txt')
  t.equal(await handle?.readFile('utf8'), 'text')
  await handle?.close()
})

t.test("names that an archive can't hold are left out with a warning", async t => {
  const { storage, root } = await uploads(t)
  await writeFile(Buffer.concat([Buffer.from(`${root}/latin-`), Buffer.of(0xe9)]), '')
  await writeFile(join(root, 'back\\slash'), '')
  await mkdir(join(root, 'C:'))
  await writeFile(join(root, 'C:/inside'), '')
  await writeFile(join(root, 'good'), '')
  await mkdir(join(root, 'ü'))
  await writeFile(Buffer.concat([Buffer.from(`${root}/ü/a\\xe9 "`), Buffer.of(0xff, 0x0a)]), '')
  const { entries, warnings } = await storage.list('acme')
  t.strictSame(
    [...entries].map(({ path }) => path),
    ['', 'C:', 'C:/inside', 'back\\slash', 'good', 'ü'],
    'for Linux a colon and a backslash are parts of a name'
  )
  t.strictSame(
    warnings,
    [
      'Left out "latin-\\xe9": its name is not UTF-8.',
      'Left out "\\xc3\\xbc/a\\\\xe9 \\"\\xff\\n": its name is not UTF-8.'
    ],
    'its bytes can be told from those of any other name'
  )
})

t.test('a path that is longer than the system takes is left out with a warning', async t => {
  const { storage, root } = await uploads(t)
  const part = 'd'.repeat(250)
  const deep = [...Array.from({ length: 20 }, () => part)].join('/')
  // Only step by step, since no call takes the whole path.
  const script =
    'process.chdir(process.argv[1]); for (const part of process.argv[2].split("/")) { fs.mkdirSync(part); process.chdir(part) }'
  await execa(process.execPath, ['--eval', script, root, deep])
  t.teardown(async () => {
    await execa('rm', ['-rf', root])
  })
  const { entries, warnings } = await storage.list('acme')
  t.ok(entries.length > 10 && entries.length < 20)
  t.equal(warnings.length, 1)
  t.match(warnings[0], /its path is too long\.$/)
})

t.test('what vanishes during the listing is left out with a warning', async t => {
  const { root } = await uploads(t)
  for (const folder of ['a', 'b', 'c']) await mkdir(join(root, folder))
  await writeFile(join(root, 'b/inside'), '')
  await writeFile(join(root, 'c/inside'), '')
  const original = fs.lstatSync
  const lstatSync = (path: string): fs.Stats => {
    const stats = original(path)
    // Between the listing of their parent and their own.
    if (path.endsWith('/a')) fs.rmdirSync(path)
    if (path.endsWith('/b')) fs.renameSync(path, `${path}-moved`)
    if (path.endsWith('/b')) fs.writeFileSync(path, 'a file now')
    if (path.endsWith('/inside')) throw Object.assign(new Error('gone'), { code: 'ENOENT' })
    return stats
  }
  Object.assign(fs, { lstatSync })
  syncBuiltinESMExports()
  t.teardown(() => {
    Object.assign(fs, { lstatSync: original })
    syncBuiltinESMExports()
  })
  const { entries, warnings } = listTree(root)
  t.strictSame(
    [...entries].map(({ path }) => path),
    ['', 'a', 'b', 'c']
  )
  t.strictSame(warnings.sort(), [
    'Left out "c/inside": it vanished while the backup was made.',
    'Left out what was in "a/": it vanished while the backup was made.',
    'Left out what was in "b/": it vanished while the backup was made.'
  ])
})

t.test("a link that takes a folder's place during the listing shows nothing of where it leads", async t => {
  const { root, uploadDir } = await uploads(t)
  await mkdir(join(uploadDir, 'globex/secret'), { recursive: true })
  for (const folder of ['a', 'b', 'b/c']) await mkdir(join(root, folder))
  await writeFile(join(root, 'a/ours'), '')
  const original = { lstatSync: fs.lstatSync, readdirSync: fs.readdirSync }
  function swap(path: string): void {
    fs.renameSync(path, `${path}-moved`)
    fs.symlinkSync(join(uploadDir, 'globex'), path)
  }
  // Before it is opened, after it was opened, and as a folder on the way.
  const lstatSync = (path: string): fs.Stats => {
    const stats = original.lstatSync(path)
    if (path.endsWith('/c')) swap(join(root, 'b'))
    return stats
  }
  let isFirst = true
  const readdirSync = (path: string, options: { encoding: 'latin1' }): string[] => {
    if (!isFirst && fs.readlinkSync(path) === join(root, 'a')) swap(join(root, 'a'))
    isFirst = false
    return original.readdirSync(path, options)
  }
  Object.assign(fs, { lstatSync, readdirSync })
  syncBuiltinESMExports()
  t.teardown(() => {
    Object.assign(fs, original)
    syncBuiltinESMExports()
  })
  const { entries, warnings } = listTree(root)
  t.strictSame(
    [...entries].map(({ path }) => path),
    ['', 'a', 'a/ours', 'b', 'b/c']
  )
  t.strictSame(warnings, ['Left out what was in "b/c/": it vanished while the backup was made.'])
})

t.test('a file that is gone or replaced by then is not opened', async t => {
  const { storage, root } = await uploads(t)
  await writeFile(join(root, 'file'), 'before')
  await storage.list('acme')
  const handle = await storage.open('acme', 'file')
  await rm(join(root, 'file'))
  t.equal(await handle?.readFile('utf8'), 'before', 'what is open can be read to its end')
  await handle?.close()
  t.equal(await storage.open('acme', 'file'), null)
  await execa('mkfifo', [join(root, 'file')])
  t.equal(await storage.open('acme', 'file'), null, 'nobody writes to it, and it blocks nobody')
})

t.test("an organization's folder that is a link or a file is refused", async t => {
  const { storage, root } = await uploads(t)
  await rm(root, { recursive: true })
  await symlink('/etc', root)
  await t.rejects(storage.list('acme'), { code: 'STORAGE_UNAVAILABLE' })
  t.equal(await readlink(root), '/etc')
  t.equal(await storage.open('acme', 'passwd'), null)
  await rm(root)
  await writeFile(root, '')
  await t.rejects(storage.list('acme'), { code: 'STORAGE_UNAVAILABLE' })
})

t.test('UPLOAD_DIR that is missing or no folder is told, not taken for no uploads', async t => {
  const { storage, uploadDir } = await uploads(t)
  await rm(uploadDir, { recursive: true })
  await t.rejects(storage.check(), { code: 'STORAGE_UNAVAILABLE', reason: 'folder-missing' })
  await t.rejects(storage.list('acme'), { code: 'STORAGE_UNAVAILABLE' })
  await writeFile(uploadDir, '')
  await t.rejects(storage.list('acme'), { code: 'STORAGE_UNAVAILABLE' })
})

t.test("a folder that can't be read fails the listing", async t => {
  const { root, uploadDir } = await uploads(t)
  await mkdir(join(root, 'locked'))
  await writeFile(join(root, 'locked/file'), '')
  await writeFile(join(root, 'unreadable'), '')
  await chmod(join(root, 'locked'), 0)
  await chmod(join(root, 'unreadable'), 0)
  await chmod(uploadDir, 0o755)
  await chmod(root, 0o755)
  const asNobody = <T>(step: () => Promise<T>): Promise<T> => {
    if (process.getuid?.() !== 0) return step()
    process.seteuid?.(65534)
    return step().finally(() => {
      process.seteuid?.(0)
    })
  }
  const storage = createLocalStorage({ uploadDir })
  // File access runs on libuv's threads, which a change of the effective user reaches on Linux.
  await t.rejects(
    asNobody(async () => await storage.list('acme')),
    { code: 'STORAGE_UNAVAILABLE' }
  )
  await t.rejects(
    asNobody(async () => await storage.open('acme', 'unreadable')),
    { code: 'STORAGE_UNAVAILABLE' }
  )
  await chmod(join(root, 'locked'), 0o700)
  t.ok((await lstat(join(root, 'locked'))).isDirectory())
})
