import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { ProgramError, runProgram, startProgram } from '../../src/io/process.js'

const node = process.execPath

t.test('streams input and output, also to a late reader', async (t) => {
  const program = startProgram(node, ['-e', 'process.stdin.pipe(process.stdout)'])
  program.stdin.end('hello'.repeat(100_000))
  // Another program's whole life passes before anyone reads.
  await runProgram(node, ['-e', '0'])
  t.equal((await text(program.stdout)).length, 500_000)
  await program.done
})

t.test('nothing of our environment reaches the program', async (t) => {
  process.env.JWT_SECRET = 'secret'
  t.teardown(() => { delete process.env.JWT_SECRET })
  const seen = JSON.parse(await runProgram(node, ['-p', 'JSON.stringify(process.env)'], { env: { PGHOST: 'h' } }))
  // tap adds variables of its own to every child.
  const names = Object.keys(seen).filter((name) => !name.startsWith('_TAPJS') && name !== 'NODE_OPTIONS')
  t.strictSame(names.sort(), ['HOME', 'LANG', 'LC_MESSAGES', 'PATH', 'PGHOST'])
})

t.test('a failure carries the exit code and the end of stderr', async (t) => {
  const program = startProgram(node, ['-e', 'process.stderr.write("x".repeat(20000) + "the end"); process.exitCode = 3'])
  program.stdout.resume()
  const error = await program.done.then(() => t.fail('succeeded'), (error: unknown) => error)
  t.ok(error instanceof ProgramError)
  t.match(error, { exitCode: 3, stderr: /the end$/ })
  t.equal((error as ProgramError).stderr.length, 8192)
  await t.rejects(runProgram(node, ['-e', 'console.error("no"); process.exit(4)']), { name: 'ProgramError', exitCode: 4, stderr: 'no' })
})

t.test('a missing program is an error, not a crash', async (t) => {
  await t.rejects(runProgram('/nowhere/pg_dump', []), { name: 'ProgramError', message: 'pg_dump could not be run (ENOENT).' })
  const program = startProgram('/nowhere/pg_dump', [])
  program.stdin.on('error', () => {})
  program.stdout.resume()
  await t.rejects(program.done, { message: 'pg_dump could not be run (ENOENT).' })
})

t.test('a signal ends the program', async (t) => {
  const abort = new AbortController()
  const program = startProgram(node, ['-e', 'process.stdout.write("up"); setInterval(() => {}, 1000)'], { signal: abort.signal })
  await once(program.stdout, 'readable')
  abort.abort()
  program.stdout.resume()
  await t.rejects(program.done, { name: 'ProgramError', message: /was cancelled/ })
})

t.test('a reader that goes away does not leave the program hanging', async (t) => {
  const program = startProgram(node, ['-e', 'process.stdout.on("error", () => process.exit(5)); setInterval(() => process.stdout.write("x".repeat(65536)), 1)'])
  await once(program.stdout, 'readable')
  program.stdout.destroy()
  await t.rejects(program.done, { name: 'ProgramError' })
})
