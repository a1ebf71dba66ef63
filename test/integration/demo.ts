import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, chmod } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { projectDir } from '../../scripts/project.js'
import { compiled } from '../support/project.js'

/** Runs the demo with a temporary folder of the test's own, so that what it leaves behind can be seen. */
async function startDemo(t: { teardown(fn: () => Promise<void>): unknown }, args: string[]) {
  const folder = await mkdtemp(path.join(tmpdir(), 'demo-test-'))
  await chmod(folder, 0o711)
  const child = spawn(process.execPath, [compiled('scripts/demo.js'), ...args], {
    cwd: projectDir,
    env: { ...process.env, TMPDIR: folder, NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM')
      await once(child, 'exit')
    }
    await rm(folder, { recursive: true, force: true })
  })
  return { child, leftBehind: async () => (await readdir(folder)).filter(name => name.startsWith('dumbassets-backup')) }
}

t.test('proves that everything is back, and cleans up', async t => {
  const { child, leftBehind } = await startDemo(t, [])
  const [output, complaints, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])

  t.equal(code, 0, complaints)
  t.match(output, 'Dry run completed successfully')
  t.match(output, 'Restore completed successfully')
  t.match(output, /Everything is back: 4 of 5 lines were damaged, 5 of 5 were as before; and the undo took that back\./)
  t.match(output, /Meanwhile globex committed [0-9,]+ transactions/)
  t.match(output, /globex has all of its [0-9,]+ rows and 157 files exactly as it left them/)
  t.match(output, 'Restore undone successfully')
  t.match(output, 'The demo succeeded')
  t.notMatch(output, '\u001B[', 'no colours without a terminal')
  t.strictSame(await leftBehind(), [])
})

t.test('--keep leaves the service running, and Ctrl-C ends it', async t => {
  const { child, leftBehind } = await startDemo(t, ['--keep'])
  let output = ''
  for await (const chunk of child.stdout) {
    output += String(chunk)
    if (/\ncurl .*\n/.test(output)) break
  }
  const [, token, url] = /\ncurl -H 'Authorization: Bearer (\S+)' (\S+)\n/.exec(output) ?? []

  const answer = await fetch(url!, { headers: { authorization: `Bearer ${token}` } })
  t.equal(answer.status, 200)
  t.match(await answer.json(), [{ type: 'full', organizationId: 'acme', state: 'available' }])

  child.kill('SIGINT')
  t.strictSame(await once(child, 'exit'), [0, null])
  t.strictSame(await leftBehind(), [])
})

t.test("says what is wrong when the service can't start", async t => {
  const { child, leftBehind } = await startDemo(t, ['--port', '99999'])
  const [complaints, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')])

  t.equal(code, 1)
  t.match(complaints, 'The demo failed')
  t.match(complaints, 'PORT must be a port number from 0 to 65535')
  t.strictSame(await leftBehind(), [])
})
