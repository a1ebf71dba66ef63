import t from 'tap'
import type { StorageStrategy } from '../../src/storage/strategy.js'
import { createLocalStorage } from '../../src/storage/local.js'
import { createSmbStorage } from '../../src/storage/smb.js'
import { testFolder } from '../support/archive.js'

/** What every storage must do, without any uploads; a further kind is added here. */
const implementations: Record<
  StorageStrategy['kind'],
  (t: Parameters<typeof testFolder>[0]) => Promise<StorageStrategy>
> = {
  local: async t => createLocalStorage({ uploadDir: await testFolder(t) }),
  smb: async () => createSmbStorage({ host: 'files.example.com', share: 'uploads', username: 'svc', domain: null })
}
const invalidIds = ['', '.', '..', '../acme', 'a/b', 'backups', 'Backups', 'acme\0', 'x'.repeat(65)]

for (const [kind, create] of Object.entries(implementations)) {
  t.test(`${kind}: an organization without uploads has an empty listing`, async t => {
    const storage = await create(t)
    t.equal(storage.kind, kind)
    await storage.check()
    const { entries, warnings } = await storage.list('acme')
    t.strictSame([[...entries], warnings], [[], []])
    t.equal(await storage.open('acme', 'nothing.txt'), null)
  })

  t.test(`${kind}: either the files can be transferred or the archive says where they are`, async t => {
    const storage = await create(t)
    t.equal(storage.describe('acme') === null, storage.capabilities.transferable)
  })

  t.test(`${kind}: an invalid organization id becomes no path`, async t => {
    const storage = await create(t)
    for (const id of invalidIds) {
      const refused = { code: 'ORGANIZATION_ID_INVALID' }
      if (storage.capabilities.transferable) {
        await t.rejects(storage.list(id), refused, JSON.stringify(id))
        await t.rejects(storage.open(id, 'nothing.txt'), refused, JSON.stringify(id))
      } else {
        t.throws(() => storage.describe(id), refused, JSON.stringify(id))
      }
    }
  })
}
