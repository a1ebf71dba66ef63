import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { folderNotMade, requireFolder } from '../../src/io/usable-folder.js'
import { testFolder } from '../support/archive.js'
import { compiled } from '../support/project.js'

const code = 'STORAGE_UNAVAILABLE'

t.test('a folder that can be used passes; one that is absent, a file, or behind a file is named', async t => {
  const folder = await testFolder(t)
  await writeFile(join(folder, 'file'), '')
  const cases: Array<[string, RegExp, RegExp]> = [
    ['absent', /^The folder UPLOAD_DIR is not there\.$/, /^Make the folder, or mount it.*correct UPLOAD_DIR\.$/],
    ['file', /^UPLOAD_DIR is a file, not a folder\.$/, /set UPLOAD_DIR to a folder\.$/],
    ['file/below', /^The path of UPLOAD_DIR leads through a file\.$/, /set UPLOAD_DIR to a folder\.$/]
  ]
  await requireFolder({ name: 'UPLOAD_DIR', folder }, code)
  for (const [name, message, remedy] of cases) {
    const path = join(folder, name)
    const error = await requireFolder({ name: 'UPLOAD_DIR', folder: path }, code).then(
      () => null,
      (error: unknown) => error
    )
    t.match(error, { code, message, remedy })
    t.notMatch(
      `${(error as Error).message}${(error as { remedy: string }).remedy}`,
      folder,
      'an answer holds no path of the host'
    )
  }
})

t.test("a folder that can't be made says why", async t => {
  const folder = await testFolder(t)
  await writeFile(join(folder, 'file'), '')
  for (const [name, message] of [
    ['absent/below', /^The folder that BACKUP_DIR is to be made in is not there\.$/],
    ['file/below', /^The path of BACKUP_DIR leads through a file\.$/]
  ] as const) {
    const path = join(folder, name)
    const failed = await mkdir(path).then(
      () => null,
      (error: unknown) => error
    )
    t.match(await folderNotMade(failed, { name: 'BACKUP_DIR', folder: path }, code), {
      code,
      message,
      remedy: /BACKUP_DIR/
    })
  }
})

t.test(
  "rights that the service's user lacks are named with the user",
  { skip: process.getuid?.() === 0 ? false : 'needs root to be another user' },
  async t => {
    const folder = await testFolder(t)
    await chmod(folder, 0o755)
    await mkdir(join(folder, 'closed'), { mode: 0o755 })
    const script = `
    import { mkdir } from 'node:fs/promises'
    import { folderNotMade, requireFolder } from ${JSON.stringify(compiled('src/io/usable-folder.js'))}
    const tell = ({ code, reason, message, remedy }) => console.log(JSON.stringify({ code, reason, message, remedy }))
    const [folder] = process.argv.slice(1)
    const known = { name: 'BACKUP_DIR', folder: folder + '/closed' }
    await requireFolder(known, '${code}').catch(tell)
    await mkdir(folder + '/closed/new').catch(async error => tell(await folderNotMade(error, known, '${code}')))`
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script, folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
      uid: 65534,
      gid: 65534
    })
    const [said, [status]] = await Promise.all([text(child.stdout), once(child, 'close')])
    t.equal(status, 0)
    const [used, made] = said.split('\n').map(line => JSON.parse(line || 'null') as unknown)
    t.match(used, { code, reason: 'file-eacces', message: /BACKUP_DIR/, remedy: /the service's user \(65534\)/ })
    t.match(made, {
      code,
      reason: 'folder-not-made',
      message: /BACKUP_DIR/,
      remedy: /let the service's user \(65534\) read and write there.*correct BACKUP_DIR/
    })
  }
)
