import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import type { Test } from 'tap'
import { createBackup } from '../../src/backup/create.js'
import { restoreBackup } from '../../src/restore/restore.js'
import { testCore } from './core.js'
import { testJob } from './job.js'

/** As many names as go through one backup and one restore. */
const namesEach = 150

const odd = [
  'a:b.txt',
  'C:report.pdf',
  'C:',
  'back\\slash',
  '\\',
  '\\\\server\\share',
  '..\\..\\x',
  'end\\',
  'two\nlines',
  'carriage\rreturn',
  'tab\t',
  '\u0001\u001b[31m',
  '\u007f',
  ' ',
  ' both ',
  'dot.',
  '...',
  '..a',
  '.hidden',
  '-rf',
  '--',
  '~',
  'CON',
  'nul.txt',
  'COM1',
  'a*b?',
  '"quoted"',
  "'",
  '$(x)',
  '`x`',
  '%00',
  '%2e%2e',
  '&#0;',
  'é',
  'e\u0301',
  'A',
  'a',
  'STRASSE',
  'strasse',
  '\u212a',
  'K',
  '\ufeff',
  '\u202e',
  '\u2028',
  '\u00a0',
  '\ufffd',
  '🦁',
  '\u{10ffff}',
  '\ufffe',
  'n'.repeat(255),
  'ü'.repeat(127),
  '🦁'.repeat(63),
  'files',
  'metadata.json',
  'SHA256SUMS',
  'database.sql.gz',
  'SMB_BACKUP_INFO.txt',
  'backups',
  '__proto__',
  'constructor',
  '.dumbassets-backup2',
  'x.zip',
  'lost+found'
]
const character = fc
  .oneof(
    { weight: 4, arbitrary: fc.integer({ min: 1, max: 0x7f }) },
    { weight: 1, arbitrary: fc.integer({ min: 0x80, max: 0xd7ff }) },
    { weight: 1, arbitrary: fc.integer({ min: 0xe000, max: 0x10ffff }) }
  )
  .map(code => (code === 0x2f ? '\\' : String.fromCodePoint(code)))
const name = fc
  .oneof(
    { weight: 1, arbitrary: fc.constantFrom(...odd) },
    {
      weight: 3,
      arbitrary: fc.array(character, { minLength: 1, maxLength: 60 }).map(characters => characters.join(''))
    }
  )
  .filter(text => text !== '.' && text !== '..' && text !== '.dumbassets-backup' && Buffer.byteLength(text) <= 255)
const file = fc.record({
  path: fc.array(name, { minLength: 1, maxLength: 4 }),
  content: fc.uint8Array({ maxLength: 40 })
})

/** Names as their bytes, and contents; folders end with a slash. */
async function treeOf(folder: Buffer): Promise<string[]> {
  const lines: string[] = []
  for (const entry of (await readdir(folder, { encoding: 'buffer', withFileTypes: true })) as unknown as Array<{
    name: Buffer
    isDirectory: () => boolean
  }>) {
    const path = Buffer.concat([folder, Buffer.from('/'), entry.name])
    if (entry.isDirectory())
      lines.push(
        `${entry.name.toString('hex')}/`,
        ...(await treeOf(path)).map(line => `${entry.name.toString('hex')}/${line}`)
      )
    else lines.push(`${entry.name.toString('hex')} ${(await readFile(path)).toString('hex')}`)
  }
  return lines.sort()
}

/**
 * Backs up files with names of every kind, and others drawn from the seed, and restores them into no folder.
 * @returns how many files and folders went through
 */
export async function nameCycle(t: Test, seed: number): Promise<number> {
  const { core, uploadDir } = await testCore(t)
  const live = join(uploadDir, 'acme')
  await mkdir(live)
  const drawn = fc.sample(file, { seed, numRuns: namesEach })
  for (const { path, content } of [...odd.map(text => ({ path: [text], content: Buffer.from(text) })), ...drawn]) {
    const folder = join(live, ...path.slice(0, -1))
    // Where a file of another draw is in the place of a folder, or the other way round, the draw is left out.
    if (
      await mkdir(folder, { recursive: true }).then(
        () => true,
        () => false
      )
    )
      await writeFile(`${folder}/${path.at(-1) ?? ''}`, content).catch(() => {})
  }
  const before = await treeOf(Buffer.from(live))
  t.ok(before.length > odd.length)
  const backup = await createBackup(
    core,
    { organizationId: 'acme', type: 'files', createdBy: 't', createdByEmail: null },
    testJob()
  )
  t.same(backup.warnings, [], `seed ${seed}`)
  t.equal(backup.counts.files, before.filter(line => !line.endsWith('/')).length)
  await rename(live, `${live}-gone`)
  await restoreBackup(
    core,
    {
      organizationId: 'acme',
      backupId: backup.id,
      validateChecksum: true,
      rollbackOnFailure: false,
      dryRun: false,
      startedBy: 't'
    },
    testJob({ core })
  )
  t.same(await treeOf(Buffer.from(live)), before, `seed ${seed}`)
  await rm(`${live}-gone`, { recursive: true })
  return before.length
}
