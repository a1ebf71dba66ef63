import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { ProgramError, runFilter, runProgram, startProgram } from '../../src/io/process.js'
import { compiled } from '../support/project.js'

const node = process.execPath

t.test('streams input and output, also to a late reader', async t => {
  const program = startProgram(node, ['-e', 'process.stdin.pipe(process.stdout)'])
  program.stdin.end('hello'.repeat(100_000))
  // Another program's whole life passes before anyone reads.
  await runProgram(node, ['-e', '0'])
  t.equal((await text(program.stdout)).length, 500_000)
  await program.done
})

t.test('nothing of our environment reaches the program', async t => {
  process.env.JWT_SECRET = 'secret'
  t.teardown(() => {
    delete process.env.JWT_SECRET
  })
  const seen = JSON.parse(await runProgram(node, ['-p', 'JSON.stringify(process.env)'], { env: { PGHOST: 'h' } }))
  // tap adds variables of its own to every child.
  const names = Object.keys(seen).filter(name => !name.startsWith('_TAPJS') && name !== 'NODE_OPTIONS')
  t.strictSame(names.sort(), ['HOME', 'LANG', 'LC_MESSAGES', 'PATH', 'PGHOST'])
})

t.test('a failure carries the exit code and the end of stderr', async t => {
  const program = startProgram(node, [
    '-e',
    'process.stderr.write("x".repeat(20000) + "the end"); process.exitCode = 3'
  ])
  program.stdout.resume()
  const error = await program.done.then(
    () => t.fail('succeeded'),
    (error: unknown) => error
  )
  t.ok(error instanceof ProgramError)
  t.match(error, { exitCode: 3, stderr: /the end$/ })
  t.equal((error as ProgramError).stderr.length, 8192)
  await t.rejects(runProgram(node, ['-e', 'console.error("no"); process.exit(4)']), {
    name: 'ProgramError',
    exitCode: 4,
    stderr: 'no'
  })
})

t.test('a missing program is an error, not a crash', async t => {
  await t.rejects(runProgram('/nowhere/pg_dump', []), {
    name: 'ProgramError',
    message: 'pg_dump could not be run (ENOENT).'
  })
  const program = startProgram('/nowhere/pg_dump', [])
  program.stdin.on('error', () => {})
  program.stdout.resume()
  await t.rejects(program.done, { message: 'pg_dump could not be run (ENOENT).' })
})

t.test('a signal ends the program', async t => {
  const abort = new AbortController()
  const program = startProgram(node, ['-e', 'process.stdout.write("up"); setInterval(() => {}, 1000)'], {
    signal: abort.signal
  })
  await once(program.stdout, 'readable')
  abort.abort()
  program.stdout.resume()
  await t.rejects(program.done, { name: 'ProgramError', message: /was cancelled/ })
})

t.test('a reader that goes away does not leave the program hanging', async t => {
  const program = startProgram(node, [
    '-e',
    'process.stdout.on("error", () => process.exit(5)); setInterval(() => process.stdout.write("x".repeat(65536)), 1)'
  ])
  await once(program.stdout, 'readable')
  program.stdout.destroy()
  await t.rejects(program.done, { name: 'ProgramError' })
})

t.test(
  'the terminal does not reach a program, whose job goes on after Ctrl-C',
  { skip: process.platform !== 'linux' && 'needs /proc' },
  async t => {
    // proc(5): pid, name, state, parent, process group, session
    const [pid, , , , group, session] = (await runProgram('cat', ['/proc/self/stat'])).split(' ')
    t.equal(group, pid)
    t.equal(session, pid)
  }
)

t.test('a filter that Ctrl-C has ended is run again', async t => {
  const flag = join(t.testdir({}), 'flag')
  const output = runFilter(
    'sh',
    ['-c', 'if [ -e "$0" ]; then cat; else touch "$0"; kill -INT $$; fi', flag],
    Buffer.from('hello')
  )
  t.equal(output.toString(), 'hello')
})

t.test('programs end with this process', async t => {
  const script = `
    const { startProgram } = await import(process.argv[1])
    console.log(startProgram('sleep', ['1000']).pid)
    process.exit()`
  const pid = Number(await runProgram(node, ['--input-type=module', '--eval', script, compiled('src/io/process.js')]))
  t.ok(pid > 0)
  const isAlive = () => {
    try {
      return process.kill(pid, 0)
    } catch {
      return false
    }
  }
  t.teardown(() => {
    if (isAlive()) process.kill(pid, 'SIGKILL')
  })
  while (isAlive()) await new Promise(resolve => setTimeout(resolve, 20))
})
