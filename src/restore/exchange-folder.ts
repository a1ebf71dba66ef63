import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { durableRename, syncFolder } from '../io/durable.js'
import { exists } from '../io/exists.js'
import type { Exchange, StagingPaths } from './staging.js'
import { requireMovable } from './try-rename.js'

/**
 * Exchanges the live folder as a whole by two renames. A mark, `absent`, says that there was no folder before and so
 * will be no `former`.
 */
export function exchangeFolder({ live, base, fresh, former }: StagingPaths): Exchange {
  const absent = join(base, 'absent')

  async function isMoved(): Promise<boolean> {
    return (await exists(former)) || (await exists(absent))
  }

  /** A folder that the application made while ours were being exchanged is kept beside the checkpoint. */
  async function moveLate(): Promise<void> {
    const late = (await readdir(base)).filter(name => name.startsWith('late-')).length
    await durableRename(live, join(base, `late-${late + 1}`))
  }

  return {
    async prepare() {},

    async requireMovable() {
      await requireMovable([live, fresh], join(base, 'blocker'))
    },

    async commit() {
      const moved = await isMoved()
      if (await exists(live)) {
        if (moved) await moveLate()
        else await durableRename(live, former)
      } else if (!moved) {
        await mkdir(absent)
        await syncFolder(base)
      }
      await durableRename(fresh, live)
    },

    isCommitted: async () => !(await exists(fresh)) && (await isMoved()),

    async revert() {
      if (!(await isMoved())) return
      if (!(await exists(fresh))) {
        if (await exists(live)) await durableRename(live, fresh)
        else await mkdir(fresh)
      }
      if (!(await exists(former))) return
      if (await exists(live)) await moveLate()
      await durableRename(former, live)
    },

    isReverted: async () => !(await exists(former))
  }
}
