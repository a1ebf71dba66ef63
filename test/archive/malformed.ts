import { open, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { AppError } from '../../src/errors.js'
import { malformed, wellFormed } from '../fixtures/malformed/make.js'
import { readAll } from '../support/archive.js'
import { projectFile } from '../support/project.js'

const folder = projectFile('test/fixtures/malformed')
const names = (await readdir(folder, { recursive: true })).filter(
  name => name.endsWith('.zip') && name !== 'well-formed.zip'
)

async function openFixture(name: string): Promise<unknown> {
  const handle = await open(join(folder, name))
  try {
    return await readAll(handle, (await handle.stat()).size)
  } finally {
    await handle.close()
  }
}

t.test('the archive that the malformed ones are made from is read', async t => {
  t.match(await openFixture('well-formed.zip'), { entries: { length: 4 } })
})

t.test('the fixtures are what their script writes', async t => {
  t.strictSame(
    names.sort(),
    Object.keys(malformed)
      .map(name => `${name}.zip`)
      .sort()
  )
  t.ok((await readFile(join(folder, 'well-formed.zip'))).equals(wellFormed))
})

let refused = 0
for (const name of names) {
  t.test(name, async t => {
    const [code, reason] = name.replace(/(--[^/]*)?\.zip$/, '').split('/')
    try {
      await openFixture(name)
      t.fail('is accepted')
    } catch (error) {
      t.ok(error instanceof AppError, String(error))
      t.match(error, { code, reason })
      refused += 1
    }
  })
}

t.teardown(() => {
  t.comment(`${names.length} malformed archives, ${refused} refused`)
})
