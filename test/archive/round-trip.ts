import { lstat, readFile, readdir, writeFile } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { execa } from 'execa'
import t from 'tap'
import { deflateBlocks, encodeBuffer, measureBlocks } from '../../src/archive/encode-file.js'
import { openArchive } from '../../src/archive/reader.js'
import { createArchiveWriter } from '../../src/archive/writer.js'
import {
  archiveBytes,
  blocksOf,
  contentOf,
  fileWith,
  fillArchive,
  metadataWith,
  organizationId,
  testFolder,
  timestamp,
  type TestEntry
} from '../support/archive.js'
import { testKeys } from '../support/core.js'

const deep = Array.from({ length: 40 }, (_, level) => `level ${level}`)
const names = [
  ' ',
  'with space',
  '-rf',
  '"quoted"',
  "'single'",
  '$(touch x)',
  'tab\there',
  'new\nline',
  'carriage\rreturn',
  'emoji 🦁',
  'é',
  'e\u0301',
  'x'.repeat(255),
  'ü'.repeat(127),
  'a:b.txt',
  'C:report.pdf',
  'back\\slash',
  '..\\up',
  'C:\\Users\\x',
  '\\',
  'end\\',
  'trailing. ',
  'NUL:',
  '\u2028',
  '\u0001',
  '.hidden',
  '...',
  'CON',
  '*?',
  '#',
  '%41',
  '\ufeffbom',
  'files',
  'metadata.json',
  'SHA256SUMS',
  '__proto__',
  'constructor'
]
const entries: TestEntry[] = [
  { path: '', mode: 0o2755 },
  { path: 'empty/', mode: 0o700, mtime: new Date('2001-02-03T04:05:06Z') },
  { path: 'empty file', mode: 0o400 },
  ...names.map((name, index) => ({
    path: name,
    content: `${name} `.repeat(index),
    mode: index % 2 === 0 ? 0o644 : 0o755
  })),
  { path: 'before 1970', content: 'old', mtime: new Date('1950-01-01T00:00:00Z') },
  { path: 'after 2038', content: 'new', mtime: new Date('2051-01-01T00:00:00Z') },
  { path: 'odd second', content: 'x', mtime: new Date('2020-02-02T02:02:03.999Z') },
  { path: 'setuid', content: '#!/bin/sh\n', mode: 0o4755 },
  { path: 'random', content: randomBytes(100_000) },
  { path: 'text.txt', content: 'a line\n'.repeat(50_000) },
  ...deep.map((_, level) => ({ path: `${deep.slice(0, level + 1).join('/')}/` })),
  { path: [...deep, 'bottom'].join('/'), content: 'deep down' }
]
const sql = 'CREATE TABLE assets (id int);\n'
const bytes = await archiveBytes(entries, { sql, description: 'round trip "1"\n' })

t.test('what the writer wrote the reader reads', async t => {
  const archive = await openArchive(await fileWith(t, bytes), bytes.length, organizationId)
  t.match(archive.metadata, { ...metadataWith(), id: String, includesDatabase: true, description: 'round trip "1"\n' })
  t.match(archive.database, { name: 'database.sql.gz', kind: 'file', mode: 0o644 })
  t.equal(archive.files.length, entries.length)
  const expected = entries.map(({ path, content = '', mode, mtime = timestamp }) => {
    const kind = path === '' || path.endsWith('/') ? 'folder' : 'file'
    const seconds = Math.min(Math.max(Math.floor(mtime.getTime() / 1000), 0), 2 ** 31 - 1)
    return {
      name: `files/acme/${path}`,
      kind,
      size: Buffer.byteLength(content),
      mode: mode ?? (kind === 'folder' ? 0o755 : 0o644),
      mtime: new Date(seconds * 1000)
    }
  })
  t.strictSame(
    archive.files.map(({ name, kind, size, mode, mtime }) => ({ name, kind, size, mode, mtime })),
    expected
  )
  const different = []
  for (const [index, entry] of archive.files.entries()) {
    if (entry.kind === 'file' && !(await contentOf(archive, entry)).equals(Buffer.from(entries[index]?.content ?? '')))
      different.push(entry.name)
  }
  t.strictSame(different, [])
})

t.test('entries are read in any order and at the same time', async t => {
  const archive = await openArchive(await fileWith(t, bytes), bytes.length, organizationId)
  const files = archive.files.filter(({ kind }) => kind === 'file').reverse()
  const contents = await Promise.all(files.map(async file => await contentOf(archive, file)))
  t.strictSame(
    contents.map(({ length }) => length),
    files.map(({ size }) => size)
  )
})

t.test('an archive of nothing', async t => {
  const empty = await archiveBytes([])
  const archive = await openArchive(await fileWith(t, empty), empty.length, organizationId)
  t.strictSame([archive.database, archive.files], [null, []])
})

t.test('an archive is refused for another organization', async t => {
  await t.rejects(openArchive(await fileWith(t, bytes), bytes.length, 'globex'), { code: 'ARCHIVE_INVALID' })
})

t.test('a backup is still readable when its timestamp no longer fits a zip', async t => {
  const late = new Date('2040-01-01T00:00:00.000Z')
  const chunks: Buffer[] = []
  const output = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(Buffer.from(chunk))
      done()
    }
  })
  await fillArchive(
    createArchiveWriter(output, late, () => {}),
    [],
    { timestamp: late.toISOString() }
  )
  const file = Buffer.concat(chunks)
  t.match(await openArchive(await fileWith(t, file), file.length, organizationId), {
    metadata: { timestamp: late.toISOString() }
  })
})

/**
 * Other people's tools, each with what it takes to unpack an archive into a folder. Their time zone must not matter to
 * us.
 */
const tools: Record<string, (archive: string, folder: string) => string[]> = {
  unzip: (archive, folder) => ['-q', '-^', archive, '-d', folder],
  python3: (archive, folder) => ['-m', 'zipfile', '-e', archive, folder],
  jar: archive => ['--extract', '--file', archive],
  busybox: (archive, folder) => ['unzip', '-q', archive, '-d', folder],
  bsdtar: (archive, folder) => ['-x', '-f', archive, '-C', folder],
  '7z': (archive, folder) => ['x', '-bd', `-o${folder}`, archive]
}

/** Those that read it once, forward, and so never see the central directory before the data. */
const forwardReaders: Record<string, string[]> = {
  // It is Java's ZipInputStream that reads there.
  jar: ['-x'],
  bsdtar: ['-x', '-f', '-']
}

async function isThere(tool: string): Promise<boolean> {
  return (await execa(tool, ['--help'], { reject: false })).code !== 'ENOENT'
}

/** The archive's own entries, files in blocks that are deflated and not, and small ones of both kinds. */
async function plainArchive(): Promise<Buffer> {
  const chunks: Buffer[] = []
  const output = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(Buffer.from(chunk))
      done()
    }
  })
  const writer = createArchiveWriter(output, timestamp, () => {}, testKeys.current)
  const attributes = { mode: 0o644, mtime: timestamp }
  await writer.addDatabase({
    blocks: blocksOf(gzipSync('CREATE TABLE a (b int);\n'), gzipSync(randomBytes(200_000).toString('hex'))),
    release() {}
  })
  await writer.addFolder('files/acme/', { ...attributes, mode: 0o755 })
  await writer.addLargeFile(
    'files/acme/photo.jpg',
    attributes,
    false,
    measureBlocks(blocksOf(randomBytes(1 << 20), randomBytes(70_000)))
  )
  await writer.addLargeFile('files/acme/empty.jpg', attributes, false, measureBlocks(blocksOf()))
  await writer.addLargeFile(
    'files/acme/text.txt',
    attributes,
    true,
    deflateBlocks(blocksOf(Buffer.alloc(1 << 20, 'text '), Buffer.from('end')), 1)
  )
  for (const [name, content] of [
    ['small.jpg', randomBytes(999)],
    ['small.txt', Buffer.alloc(999, 'text')],
    ['none', Buffer.alloc(0)]
  ] as const) {
    await writer.addFile(`files/acme/${name}`, attributes, await encodeBuffer(name, content, 6))
  }
  await writer.finish(metadataWith({ includesDatabase: true }))
  return Buffer.concat(chunks)
}

for (const [tool, parameters] of Object.entries(forwardReaders)) {
  t.test(`${tool} unpacks what it reads from a pipe`, async t => {
    if (!(await isThere(tool))) {
      t.comment(`not tried: ${tool} is not installed`)
      return
    }
    const folder = await testFolder(t)
    await execa(tool, parameters, { cwd: folder, input: await plainArchive() })
    const check = await execa('sha256sum', ['--check', '--strict', '--quiet', 'SHA256SUMS'], {
      cwd: folder,
      reject: false
    })
    t.strictSame([check.exitCode, check.stdout, check.stderr], [0, '', ''])
    t.equal((await readdir(join(folder, 'files/acme'))).length, 6)
  })
}

for (const [tool, argumentsFor] of Object.entries(tools)) {
  t.test(`${tool} unpacks it`, async t => {
    if (!(await isThere(tool))) {
      t.comment(`not tried: ${tool} is not installed`)
      return
    }
    const archive = join(await testFolder(t), 'archive.zip')
    // These two compose letters and their accents, so that two of the names would be one to them.
    const unpacked =
      tool === 'jar' || tool === 'bsdtar' ? entries.filter(({ path }) => path === path.normalize('NFC')) : entries
    await writeFile(archive, await archiveBytes(unpacked, { sql }))
    const folder = await testFolder(t)
    await execa(tool, argumentsFor(archive, folder), {
      cwd: folder,
      env: { LC_ALL: 'C.UTF-8', JAVA_TOOL_OPTIONS: '-Dsun.jnu.encoding=UTF-8' }
    })
    const check = await execa('sha256sum', ['--check', '--strict', '--quiet', 'SHA256SUMS'], {
      cwd: folder,
      reject: false
    })
    t.strictSame([check.exitCode, check.stdout, check.stderr], [0, '', ''])
    t.ok((await lstat(join(folder, 'files/acme/empty'))).isDirectory())
    t.equal((await readFile(join(folder, 'files/acme/empty file'))).length, 0)
    t.equal(
      (await readdir(join(folder, 'files/acme'))).length,
      unpacked.filter(({ path }) => path !== '' && !path.slice(0, -1).includes('/')).length
    )
    if (tool === 'unzip') t.equal((await lstat(join(folder, 'files/acme/empty file'))).mode & 0o777, 0o400)
  })
}

t.test('unzip tests it without a complaint', async t => {
  const archive = join(await testFolder(t), 'archive.zip')
  await writeFile(archive, bytes)
  const { stdout } = await execa('unzip', ['-t', archive])
  t.match(stdout, /No errors detected/)
})
