import { randomBytes } from 'node:crypto'
import { readFile, rm, writeFile, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { openArchive } from '../../src/archive/reader.js'
import { AppError } from '../../src/errors.js'
import { extractFiles } from '../../src/restore/extract-files.js'
import { readDump } from '../../src/restore/read-dump.js'
import { restoreBackup } from '../../src/restore/restore.js'
import { archiveBytes, fileWith, organizationId, testFolder, timestamp } from '../support/archive.js'
import { testJob } from '../support/job.js'
import { createSite, listTree, type Site } from '../support/restore-site.js'

t.setTimeout(600_000)

interface Region {
  what: string
  start: number
  end: number
}

/** What stands where in an archive, by its central directory (APPNOTE.TXT, 4.3). */
function regionsOf(bytes: Buffer): Region[] {
  const end = bytes.length - 22
  const regions: Region[] = [{ what: 'the end record', start: end, end: bytes.length }]
  for (let at = bytes.readUInt32LE(end + 16); at < end;) {
    const [nameLength, extraLength] = [bytes.readUInt16LE(at + 28), bytes.readUInt16LE(at + 30)]
    const name = bytes.toString('utf8', at + 46, at + 46 + nameLength)
    const header = bytes.readUInt32LE(at + 42)
    const data = header + 30 + nameLength
    const dataEnd = data + bytes.readUInt32LE(at + 20)
    const descriptorEnd = dataEnd + ((bytes.readUInt16LE(at + 8) & 8) === 0 ? 0 : 16)
    regions.push(
      { what: `the local header of ${name}`, start: header, end: data },
      { what: `the data of ${name}`, start: data, end: dataEnd },
      { what: `the descriptor of ${name}`, start: dataEnd, end: descriptorEnd },
      { what: `the record of ${name}`, start: at, end: at + 46 + nameLength + extraLength }
    )
    at += 46 + nameLength + extraLength
  }
  return regions.filter(({ start, end }) => end > start)
}

/** All that comes out of an archive on its way into a restore: the extracted tree and the dump. */
async function takeOut(handle: FileHandle, size: number, folder: string): Promise<string> {
  const target = join(folder, 'target')
  const signal = new AbortController().signal
  try {
    const archive = await openArchive(handle, size, organizationId)
    const sql: Buffer[] = []
    for await (const block of readDump(archive, archive.database!, () => {})) sql.push(block)
    await extractFiles({ archive, organizationId, target, owner: null, signal, onBytes() {} })
    return JSON.stringify([archive.metadata, await listTree(target), Buffer.concat(sql).toString()])
  } finally {
    await rm(target, { recursive: true, force: true })
  }
}

t.test('a byte flipped in an entry is noticed by those who extract it', async t => {
  const bytes = await archiveBytes(
    [
      { path: '', mtime: timestamp },
      { path: 'stored', content: randomBytes(16) },
      { path: 'deflated', content: 'again and '.repeat(30), mode: 0o600 },
      { path: 'empty' }
    ],
    { sql: 'SELECT 1;\n' }
  )
  const handle = await fileWith(t, bytes)
  const folder = await testFolder(t)
  const original = await takeOut(handle, bytes.length, folder)
  const regions = regionsOf(bytes)
  // After the last bits of deflated data there can be some that belong to nothing (RFC 1951, section 3.2.3).
  const unused = regions.filter(({ what }) => what.startsWith('the data of')).map(({ end }) => end - 1)
  const counts = { detected: 0, harmless: 0, undetected: 0 }
  for (const { what, start, end } of regions.filter(
    ({ what }) => /^the (local header|data|descriptor)/.test(what) && !/metadata|SHA256/.test(what)
  )) {
    // Each of them starts a thread, and the headers are compared as a whole.
    for (let position = start; position < end; position += what.startsWith('the data') ? 1 : 5) {
      await handle.write(Buffer.of((bytes[position] as number) ^ (position % 2 === 0 ? 0xff : 0x01)), 0, 1, position)
      try {
        const same = (await takeOut(handle, bytes.length, folder)) === original
        counts[same ? 'harmless' : 'undetected'] += 1
        t.ok(same && unused.includes(position), `byte ${position} in ${what}`)
      } catch (error) {
        if (!(error instanceof AppError)) throw error
        counts.detected += 1
      }
      await handle.write(bytes, position, 1, position)
    }
  }
  t.comment(`flipped the entries' bytes: ${JSON.stringify(counts)}`)
  t.equal(counts.undetected, 0)
  t.ok(counts.detected > 100)
})

/** The archive with some texts replaced by others as long, wherever they stand as they are. */
function replaceAll(bytes: Buffer, changes: Record<string, string>): Buffer {
  const pattern = new RegExp(Object.keys(changes).join('|'), 'g')
  return Buffer.from(
    bytes.toString('latin1').replaceAll(pattern, text => changes[text] as string),
    'latin1'
  )
}

/** Two regions as long as each other in each other's place. */
function swap(bytes: Buffer, first: Region, second: Region): Buffer {
  const changed = Buffer.from(bytes)
  bytes.copy(changed, first.start, second.start, second.end)
  bytes.copy(changed, second.start, first.start, first.end)
  return changed
}

t.test('no restore takes an archive that was flipped, cut, swapped or renamed in any place', async t => {
  const site = await createSite(t)
  const {
    states: {
      a: { backupId },
      b
    }
  } = site
  const path = archivePath(site, backupId)
  const bytes = await readFile(path)
  const regions = regionsOf(bytes)
  const region = (what: string): Region => regions.find(region => region.what === what)!

  const changed: Record<string, Buffer> = {}
  for (const { what, start, end } of regions) {
    const copy = Buffer.from(bytes)
    const middle = Math.floor((start + end) / 2)
    copy[middle] = (copy[middle] as number) ^ 0xff
    changed[`flipped in ${what}`] = copy
  }
  for (const { what, start, end } of regions.filter(({ what }) => what.startsWith('the data')))
    changed[`cut in ${what}`] = bytes.subarray(0, Math.floor((start + end) / 2))
  for (const size of [0, 1, 21, bytes.length - 22, bytes.length - 1])
    changed[`cut at ${size}`] = bytes.subarray(0, size)
  changed['with a byte more'] = Buffer.concat([bytes, Buffer.of(0)])
  changed['contents swapped'] = swap(
    bytes,
    region('the data of files/acme/photos/one'),
    region('the data of files/acme/photos/a/two')
  )
  changed['names swapped'] = replaceAll(bytes, {
    'acme/same.txt': 'acme/only.txt',
    'acme/only a.txt': 'acme/same a.txt'
  })
  changed['a file renamed'] = replaceAll(bytes, { 'acme/same.txt': 'acme/game.txt' })
  changed['a folder renamed'] = replaceAll(bytes, { 'acme/photos/': 'acme/fotos_/' })
  changed['a file out of its folder'] = replaceAll(bytes, { 'acme/same.txt': 'acme/../x.txt' })
  changed["another organization's"] = replaceAll(bytes, { 'files/acme/': 'files/evil/' })
  changed['another backup'] = await readFile(archivePath(site, b.backupId))
  for (const [what, copy] of Object.entries(changed)) if (copy.equals(bytes)) t.fail(`nothing is ${what}`)

  let detected = 0
  const undetected: string[] = []
  for (const [what, copy] of Object.entries(changed)) {
    await writeFile(path, copy)
    try {
      await restoreBackup(
        site.core,
        {
          organizationId,
          backupId,
          validateChecksum: false,
          rollbackOnFailure: true,
          dryRun: false,
          startedBy: 't'
        },
        testJob({ core: site.core })
      )
      undetected.push(what)
      t.fail(what)
    } catch (error) {
      if (
        !(error instanceof AppError) ||
        !['ARCHIVE_INVALID', 'CHECKSUM_MISMATCH', 'DUMP_INVALID'].includes(error.code)
      )
        throw error
      detected += 1
    }
    t.equal(await site.look(), 'bb', what)
  }
  t.comment(`${Object.keys(changed).length} changed archives: ${detected} refused, ${undetected.length} restored`)
  t.same(await site.leftovers(), [])
  await writeFile(path, bytes)
  await restoreBackup(
    site.core,
    { organizationId, backupId, validateChecksum: false, rollbackOnFailure: true, dryRun: false, startedBy: 't' },
    testJob({ core: site.core })
  )
  t.equal(await site.look(), 'aa', 'as it was it is taken')
})

function archivePath({ backupDir }: Site, backupId: string): string {
  return join(backupDir, organizationId, `backup-${backupId}.zip`)
}
