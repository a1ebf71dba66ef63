import type { Stats } from 'node:fs'
import { chmod, lchown, mkdir, readdir, rename, rm, rmdir, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { syncFolder } from '../io/durable.js'
import { exists } from '../io/exists.js'
import { stagingFolder } from '../storage/staging-folder.js'
import { isOurs } from './file-owner.js'
import { childOf, namesIn } from './folder-children.js'
import type { Exchange, StagingPaths } from './staging.js'
import { entriesOf, requireMovable } from './try-rename.js'

const unmoved = [stagingFolder, 'lost+found']

/**
 * Exchanges what is in a folder that is a mount of its own, and so can't be renamed: first all that is live moves into
 * `former`, then a mark, `cleared`, is set, then all of `fresh` moves to its place. Going back does the same backwards.
 * The folder itself takes the attributes that are kept in two empty ones. `lost+found` is the file system's own.
 */
export function exchangeChildren({ live, base, fresh, former }: StagingPaths): Exchange {
  const cleared = join(base, 'cleared')
  const attributes = { fresh: join(base, 'attributes-fresh'), former: join(base, 'attributes-former') }

  /** What the application made in the meantime, and now stands in the way, is kept beside the checkpoint. */
  async function moveAside(path: string | Buffer, name: Buffer): Promise<void> {
    const late = (await readdir(base)).filter(entry => entry.startsWith('late-')).length
    const folder = join(base, `late-${late + 1}`)
    await mkdir(folder)
    await rename(path, childOf(folder, name))
  }

  async function moveAll(from: string, to: string): Promise<void> {
    for (const name of await namesIn(from, unmoved)) {
      const [source, target] = [childOf(from, name), childOf(to, name)]
      if (await exists(target)) await moveAside(from === live ? source : target, name)
      if (await exists(source)) await rename(source, target)
    }
    for (const folder of [to, from, base]) await syncFolder(folder)
  }

  return {
    async prepare(before) {
      await mkdir(former, { mode: 0o700 })
      await mkdir(attributes.former)
      await giveAttributes(attributes.former, before ?? (await stat(live)))
    },

    async requireMovable() {
      await requireMovable([...(await entriesOf(live, unmoved)), ...(await entriesOf(fresh))], join(base, 'blocker'))
    },

    async commit() {
      if (!(await exists(cleared))) {
        await mkdir(attributes.fresh, { recursive: true })
        await giveAttributes(attributes.fresh, await stat(fresh))
        await moveAll(live, former)
        await mkdir(cleared)
        await syncFolder(base)
      }
      await moveAll(fresh, live)
      await giveAttributes(live, await stat(attributes.fresh))
      await rm(fresh, { recursive: true })
      await syncFolder(base)
    },

    isCommitted: async () => !(await exists(fresh)) && (await exists(cleared)),

    async revert() {
      if (await exists(cleared)) {
        await mkdir(fresh, { recursive: true, mode: 0o700 })
        await moveAll(live, fresh)
        // Here too: where nothing was in the folder, nothing moves back.
        await giveAttributes(live, await stat(attributes.former))
        await rmdir(cleared)
        await syncFolder(base)
      }
      if (!(await exists(former)) || (await readdir(former)).length === 0) return
      await moveAll(former, live)
      await giveAttributes(live, await stat(attributes.former))
    },

    isReverted: async () =>
      !(await exists(cleared)) && (!(await exists(former)) || (await readdir(former)).length === 0)
  }
}

/** Only a folder's owner and root may change its attributes (chmod(2)): a mount of another user keeps its own. */
async function giveAttributes(folder: string, { mode, mtime, uid, gid }: Stats): Promise<void> {
  if (!isOurs(await stat(folder))) return
  if (process.getuid?.() === 0) await lchown(folder, uid, gid)
  await chmod(folder, mode & 0o7777)
  await utimes(folder, mtime, mtime)
}
