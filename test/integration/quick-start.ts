import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { freePort } from '../../src/io/free-port.js'
import { createTestDatabase } from '../support/postgres.js'
import { compiled, projectFile } from '../support/project.js'

const port = await freePort()
const readme = (await readFile(projectFile('README.md'), 'utf8')).replaceAll('127.0.0.1:3000', `127.0.0.1:${port}`)

/** The blocks of commands of a section, as they are pasted. */
function blocks(section: string): string[] {
  const [, body = ''] = readme.split(`\n## ${section}\n`)
  const [own = ''] = body.split('\n## ')
  return own.match(/(?:^ {4}.*\n)+/gm)?.map(block => block.replaceAll(/^ {4}/gm, '')) ?? []
}

t.test('no block that is pasted has a comment, which zsh takes for commands', async t => {
  const pages = await Promise.all(
    ['docs/install.md', 'docs/restore-by-hand.md', 'docs/upgrade-postgresql.md'].map(
      async page => await readFile(projectFile(page), 'utf8')
    )
  )
  const pasted = [readme, ...pages].join('\n').match(/^ {4}(?![│├└{}" ]).*$/gm) ?? []
  t.ok(pasted.length > 10)
  for (const line of pasted) t.notMatch(line, /(^|\s)#/)
})

// Interactive, as a shell is that is pasted to: only then zsh takes no comments.
for (const { shell, args } of [
  { shell: 'bash', args: ['--norc', '-i'] },
  { shell: 'dash', args: ['-i'] },
  { shell: 'zsh', args: ['-f', '-i'] }
]) {
  t.test(
    `the Quick start works when it is pasted into ${shell}`,
    {
      skip: spawnSync(shell, ['-c', '']).error !== undefined && `${shell} is not installed: run npm run setup as root`
    },
    async t => {
      const { url } = await createTestDatabase(t)
      const folder = await mkdtemp(join(tmpdir(), 'quick-start-'))
      t.teardown(async () => {
        await rm(folder, { recursive: true })
      })
      await mkdir(join(folder, 'bin'))
      // What is compiled already takes the place of npm's scripts.
      await writeFile(
        join(folder, 'bin/npm'),
        `#!/bin/sh
      case "$*" in
        'run setup') ;;
        start) exec node ${compiled('src/server.js')} ;;
        'run --silent token -- '*) shift 4; exec node ${compiled('scripts/token.js')} "$@" ;;
        *) echo "unexpected: npm $*" >&2; exit 1 ;;
      esac`
      )
      await chmod(join(folder, 'bin/npm'), 0o755)
      const env = {
        PATH: `${join(folder, 'bin')}:${dirname(process.execPath)}:${process.env.PATH}`,
        HOME: folder,
        TERM: 'dumb',
        PORT: String(port),
        DATABASE_URL: url
      }
      const paste = (commands: string) => {
        const child = spawn(shell, args, { cwd: folder, env, detached: true })
        child.stdin.end(commands)
        return child
      }

      const [start = '', ...rest] = blocks('Quick start')
      const service = paste(start)
      const ended = once(service, 'exit')
      t.teardown(async () => {
        if (service.exitCode === null) process.kill(-service.pid!, 'SIGTERM')
        await ended
      })
      service.stdout.resume()
      service.stderr.resume()
      while ((await fetch(`http://127.0.0.1:${port}/health/ready`).catch(() => null))?.status !== 200) {
        if (service.exitCode !== null) throw new Error('the service ended')
        await pause(50)
      }

      const client = paste(`${rest.join('')}\necho "ids: $ID $RESTORE_ID $JOB_ID"\n`)
      const [output, complaints] = await Promise.all([text(client.stdout), text(client.stderr)])
      const uuid = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}'
      t.match(output, new RegExp(`^ids: ${uuid} ${uuid} ${uuid}$`, 'm'), complaints)
      t.notMatch(output, '"statusCode"', 'no answer is an error')
      t.notMatch(complaints, /not found|no matches|error/i)
      t.match(output, /"state":"succeeded"/, 'the events of the job')
      const answers = output
        .split('\n')
        .filter(line => line.startsWith('{'))
        .map(line => JSON.parse(line) as Record<string, unknown>)
      t.match(
        answers.at(-1),
        { trusted: true, state: 'available', description: 'Before the update' },
        'the upload, on a line of its own'
      )
    }
  )
}
