import { writeFile, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import t from 'tap'
import { openArchive } from '../../src/archive/reader.js'
import { AppError } from '../../src/errors.js'
import { archiveBytes, fileWith, organizationId, testFolder } from '../support/archive.js'

t.setTimeout(0)

t.test('over 65,535 entries', async t => {
  const count = 70_000
  const many = await archiveBytes([
    { path: '' },
    ...Array.from({ length: count }, (_, index) => ({ path: `${index}` }))
  ])
  const handle = await fileWith(t, many)
  const archive = await openArchive(handle, many.length, organizationId)
  t.equal(archive.files.length, count + 1)
  t.equal(archive.files.at(-1)?.name, `files/acme/${count - 1}`)
  const path = join(await testFolder(t), 'many.zip')
  await writeFile(path, many)
  const { stdout, code } = await execa(
    'python3',
    ['-c', 'import sys, zipfile; print(len(zipfile.ZipFile(sys.argv[1]).infolist()))', path],
    { reject: false }
  )
  if (code === 'ENOENT') t.comment('not tried: python3 is not installed')
  else t.equal(Number(stdout), count + 3)
})

t.test("a large archive's closing records are checked as well", async t => {
  const many = Array.from({ length: 66_000 }, (_, index) => ({ path: `${index}` }))
  const large = await archiveBytes([{ path: '' }, ...many])
  const handle = await fileWith(t, large)
  const undetected: number[] = []
  // In the zip64 record: version made by, entry count, directory size and its offset, each at its low and high end; in
  // the locator: the record's offset and the number of disks (APPNOTE.TXT, 4.3.14 and 4.3.15).
  const record = large.length - 98
  const locator = large.length - 42
  for (const position of [
    record + 12,
    record + 32,
    record + 39,
    record + 47,
    record + 55,
    locator + 15,
    locator + 16
  ]) {
    await handle.write(Buffer.of((large[position] as number) ^ 0xff), 0, 1, position)
    if ((await judgeOpen(handle, large.length)) !== 'detected') undetected.push(position - large.length)
    await handle.write(large, position, 1, position)
  }
  t.strictSame(undetected, [])
})

async function judgeOpen(handle: FileHandle, size: number): Promise<'detected' | 'opened'> {
  try {
    await openArchive(handle, size, organizationId)
    return 'opened'
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    return 'detected'
  }
}
