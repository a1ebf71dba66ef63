import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'

/** The part of tap's `t` that is needed here. */
interface Test {
  teardown(fn: () => Promise<void>): unknown
}

/** A real file system of this size (`1m`), unmounted at teardown; null when it can't be mounted here. Only root can. */
export async function smallDisk(
  t: Test,
  size: string
): Promise<{ folder: string; remount(options: string): Promise<void> } | null> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return null
  const folder = await mkdtemp(join(tmpdir(), 'small-disk-'))
  t.teardown(async () => {
    await rm(folder, { recursive: true })
  })
  const mounted = await execa('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder], { reject: false })
  if (mounted.failed) return null
  t.teardown(async () => {
    await execa('umount', ['--lazy', folder])
  })
  return {
    folder,
    remount: async options => {
      await execa('mount', ['-o', `remount,${options}`, folder])
    }
  }
}
