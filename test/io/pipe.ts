import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import t from 'tap'
import { makePipe } from '../../src/io/pipe.js'
import { startProgramInto } from '../../src/io/process.js'
import { readPipe } from '../../src/io/read-pipe.js'
import { testFolder } from '../support/archive.js'

/** A program whose output is read in a thread. */
async function start(program: string, ...args: string[]) {
  const { reader, writer } = await makePipe()
  const running = startProgramInto(writer.fd, program, args)
  await writer.close()
  return {
    ...running,
    blocks: readPipe(reader.fd),
    close: async () => {
      await reader.close()
    }
  }
}

t.test('what a program writes into a pipe is read in order and to its end', async t => {
  const { blocks, done, close } = await start('seq', '3000000')
  const expected = createHash('sha256').update(
    Array.from({ length: 3_000_000 }, (_, number) => `${number + 1}\n`).join('')
  )
  const read = createHash('sha256')
  for await (const block of blocks) read.update(block)
  await done
  await close()
  t.equal(read.digest('hex'), expected.digest('hex'))
})

t.test('no output is no block', async t => {
  const { blocks, done, close } = await start('true')
  for await (const _ of blocks) t.fail('a block')
  await done
  await close()
})

t.test('a program that was never there leaves nothing to read, and says so', async t => {
  const { reader, writer } = await makePipe()
  const { done } = startProgramInto(writer.fd, '/nowhere/pg_dump', [])
  await writer.close()
  for await (const _ of readPipe(reader.fd)) t.fail('a block')
  await reader.close()
  await t.rejects(done, { name: 'ProgramError', message: /could not be run \(ENOENT\)/ })
})

t.test('a reader that is slow holds the program back, and its end can be had at any time', async t => {
  const { blocks, done, kill, close } = await start('yes')
  t.equal((await blocks.next()).value?.length, (1 << 20) + 4096)
  kill()
  await t.rejects(done, { message: /killed by SIGTERM/ })
  let rest = 0
  for await (const block of blocks) rest += block.length
  t.ok(rest < 16 << 20, `${rest} bytes were on their way`)
  await close()
})

t.test('a pipe leaves nothing in the temporary folder', async t => {
  const { TMPDIR } = process.env
  t.teardown(() => {
    if (TMPDIR === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = TMPDIR
  })
  process.env.TMPDIR = await testFolder(t)
  const { reader, writer } = await makePipe()
  t.strictSame(await readdir(process.env.TMPDIR), [])
  await reader.close()
  await writer.close()
})
