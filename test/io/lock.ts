import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rename, symlink, truncate } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { folderInUse, takeLock } from '../../src/io/lock.js'
import { testFolder } from '../support/archive.js'
import { compiled } from '../support/project.js'

t.test('one has it, until it is released', async t => {
  const file = join(await testFolder(t), 'service.lock')
  const first = await takeLock(file)
  t.equal(await takeLock(file), null)
  t.equal(await first?.isInPlace(), true)
  await first?.release()
  await first?.release()
  const second = await takeLock(file)
  t.not(second, null)
  await second?.release()
})

t.test('who has it can be told, as long as the file says so', async t => {
  const folder = await testFolder(t)
  const file = join(folder, 'service.lock')
  const known = { name: 'BACKUP_DIR' as const, folder }
  const lock = await takeLock(file)
  t.match(await folderInUse(known, file), {
    code: 'CONFIG_INVALID',
    message: `Another service runs on BACKUP_DIR (process ${process.pid} on the host ${hostname()}).`,
    remedy: /its own BACKUP_DIR/
  })
  await truncate(file)
  t.equal((await folderInUse(known, file)).message, 'Another service runs on BACKUP_DIR.')
  await lock?.release()
})

t.test('a killed process leaves it free', async t => {
  const file = join(await testFolder(t), 'service.lock')
  const script = `
    import { takeLock } from ${JSON.stringify(compiled('src/io/lock.js'))}
    process.stdout.write(String(await takeLock(process.argv[1]) !== null))
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script, file], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const [said] = (await once(child.stdout, 'data')) as [Buffer]
  t.equal(said.toString(), 'true')
  t.equal(await takeLock(file), null)
  child.kill('SIGKILL')
  await once(child, 'exit')
  const lock = await takeLock(file)
  t.not(lock, null)
  await lock?.release()
})

t.test('tells when its file was moved away or replaced, and follows no link', async t => {
  const folder = await testFolder(t)
  const file = join(folder, 'service.lock')
  const lock = await takeLock(file)
  await rename(file, join(folder, 'elsewhere'))
  t.equal(await lock?.isInPlace(), false)
  const other = await takeLock(file)
  t.not(other, null)
  t.equal(await lock?.isInPlace(), false)
  await symlink('elsewhere', join(folder, 'link'))
  await t.rejects(takeLock(join(folder, 'link')), { code: 'ELOOP' })
  await lock?.release()
  await other?.release()
})
