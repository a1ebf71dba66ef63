import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { Readable } from 'node:stream'
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { AppError } from '../../src/errors.js'
import { createLocalRepository } from '../../src/repository/local.js'
import type { Repository } from '../../src/repository/repository.js'
import { createLocalStorage } from '../../src/storage/local.js'
import { testFolder } from '../support/archive.js'
import { installFailingFiles } from '../support/failing-files.js'
import { testRecord } from '../support/record.js'

const files = await installFailingFiles()
const documented = ['REPOSITORY_UNAVAILABLE', 'DISK_FULL']
const record = testRecord()
const changed = { ...record, description: 'changed' }
const content = Buffer.from('0123456789'.repeat(30_000))
const newId = randomUUID()

async function write(partial: Awaited<ReturnType<Repository['createArchive']>>): Promise<void> {
  try {
    await pipeline(Readable.from([content.subarray(0, 100_000), content.subarray(100_000)]), partial.stream)
    await partial.commit()
  } catch (error) {
    await partial.discard()
    throw error
  }
}

/** Each thing that a repository does. */
const operations: Record<string, (repository: Repository) => Promise<unknown>> = {
  open: async repository => {
    await repository.open()
  },
  check: async repository => {
    await repository.check()
  },
  organizations: async repository => await repository.organizations(),
  'write an archive': async repository => {
    await write(await repository.createArchive('acme', newId))
  },
  'write the first archive of an organization': async repository => {
    await write(await repository.createArchive('globex', newId))
  },
  'receive an archive': async repository => {
    const received = await repository.receiveArchive('acme')
    await write({
      ...received,
      commit: async () => {
        await received.commit(newId)
      }
    })
  },
  'read an archive': async repository => {
    const stream = await repository.readArchive('acme', record.id)
    if (stream !== null && !(await buffer(stream)).equals(content)) throw new Error('other bytes came')
  },
  'open an archive': async repository => {
    await (await repository.openArchive('acme', record.id))?.handle.close()
  },
  'delete an archive': async repository => {
    await repository.deleteArchive('acme', record.id)
  },
  'write a record': async repository => {
    await repository.writeRecord({ ...record, id: newId })
  },
  'replace a record': async repository => {
    await repository.writeRecord(changed)
  },
  'read a record': async repository => await repository.readRecord('acme', record.id),
  'delete a record': async repository => {
    await repository.deleteRecord('acme', record.id)
  },
  list: async repository => await repository.list('acme'),
  'make the journal folder': async repository => await repository.journalFolder('acme', { make: true }),
  'make a folder of activity': async repository => await repository.activityFolder('acme', '2026-01-01'),
  'remove partials': async repository => {
    await repository.removePartials()
  },
  'ask for free space': async repository => await repository.freeBytes()
}

/** All that can be seen of it, after what a start clears away. */
async function stateOf(repository: Repository): Promise<string> {
  await repository.removePartials()
  const parts = await Promise.all(
    ['acme', 'globex'].map(async organization => {
      const { archives, records } = await repository.list(organization)
      const contents = await Promise.all(
        archives.map(async id => {
          const stream = await repository.readArchive(organization, id)
          return [id, stream === null || !(await buffer(stream)).equals(content) ? 'damaged' : 'whole']
        })
      )
      return [
        contents.sort(),
        await Promise.all(records.sort().map(async id => (await repository.readRecord(organization, id)) ?? 'damaged'))
      ]
    })
  )
  return JSON.stringify(parts)
}

async function setUp(t: Parameters<typeof testFolder>[0]): Promise<{ repository: Repository; folder: string }> {
  const folder = await testFolder(t)
  const repository = createLocalRepository({ directory: folder })
  await write(await repository.createArchive('acme', record.id))
  await repository.writeRecord(record)
  return { repository, folder }
}

let injected = 0

for (const [name, operation] of Object.entries(operations)) {
  t.test(`${name}: done wholly, or not at all with a documented error`, async t => {
    const { repository, folder } = await setUp(t)
    const before = await stateOf(repository)
    const calls = await files.during(folder, { kind: 'none' }, async () => {
      await operation(repository)
    })
    const after = await stateOf(repository)
    await repository.close()
    t.ok(calls.length > 0, calls.join(' '))

    for (const code of ['EIO', 'ENOSPC', 'EACCES', 'EROFS']) {
      for (const [index, call] of calls.entries()) {
        const { repository, folder } = await setUp(t)
        let failure: unknown = null
        await files
          .during(folder, { kind: 'fail', at: index + 1, code }, async () => {
            await operation(repository)
          })
          .catch((error: unknown) => {
            failure = error
          })
        injected += 1
        const what = `${code} at ${call} (${index + 1})`
        const refused = failure instanceof AppError && documented.includes(failure.code)
        // What a stream meets comes as it is; whoever pipes into it translates it.
        const fromStream = (failure as { code?: string } | null)?.code === code
        if (failure !== null && !refused && !fromStream) t.fail(`${what}: ${String(failure)}`)
        const left = (await readdir(folder, { recursive: true })).filter(name => name.endsWith('.partial'))
        if (left.length > 0 && !call.includes('rm')) t.fail(`${what}: ${left.join(' ')} is left`)
        const found = await stateOf(repository)
        if (found !== after && (failure === null || found !== before))
          t.fail(`${what}: neither the state before nor the one after: ${found}`)
        await repository.close()
      }
    }
  })

  t.test(`${name}: with writes that take less than they are given`, async t => {
    const { repository } = await setUp(t)
    await operation(repository)
    const expected = await stateOf(repository)
    await repository.close()
    const short = await setUp(t)
    await files.during(short.folder, { kind: 'short' }, async () => {
      await operation(short.repository)
    })
    injected += 1
    t.equal(await stateOf(short.repository), expected)
    await short.repository.close()
  })
}

t.test('a storage tells what it could not read, and leaves nothing out in silence', async t => {
  const folder = await testFolder(t)
  await mkdir(join(folder, 'acme', 'photos'), { recursive: true })
  await writeFile(join(folder, 'acme', 'photos', 'one.jpg'), content)
  await writeFile(join(folder, 'acme', 'two.txt'), 'two')
  const storage = createLocalStorage({ uploadDir: folder })
  const uses: Record<string, () => Promise<unknown>> = {
    check: async () => {
      await storage.check()
    },
    folder: async () => await storage.folder('acme'),
    list: async () => {
      const { entries, warnings } = await storage.list('acme')
      return [[...entries], warnings]
    },
    open: async () => {
      const handle = await storage.open('acme', 'photos/one.jpg')
      if (handle === null) return null
      try {
        return await handle.readFile()
      } finally {
        await handle.close()
      }
    }
  }
  for (const [name, use] of Object.entries(uses)) {
    const expected = await use()
    const calls = await files.during(folder, { kind: 'none' }, async () => {
      await use()
    })
    for (const code of ['EIO', 'EACCES', 'EMFILE', 'ESTALE']) {
      for (const [index, call] of calls.entries()) {
        let [found, failure]: unknown[] = [null, null]
        await files
          .during(folder, { kind: 'fail', at: index + 1, code }, async () => {
            found = await use()
          })
          .catch((error: unknown) => {
            failure = error
          })
        injected += 1
        const told = failure instanceof AppError && failure.code === 'STORAGE_UNAVAILABLE'
        t.ok(
          told || (failure === null && isDeepStrictEqual(found, expected)),
          `${name}: ${code} at ${call} (${index + 1}): ${String(failure)}`
        )
      }
    }
  }
})

t.test('how many', async t => {
  t.ok(injected > 100)
  t.comment(`${injected} faults of the file layer injected`)
})
