import type { Attributes } from './zip.js'
import { archivedSeconds } from './attributes-digest.js'

/** Of a file's mode, what a restore gives back: with the others an archive could make programs run as their owner. */
export const restoredFileBits = 0o777

interface Entry extends Attributes {
  kind: 'file' | 'folder'
  path: string
}

export interface Inexact {
  look(entry: Entry): void
  /** One sentence for each kind, with a count and an example. */
  sentences(): string[]
}

/** Gathers what a restore can't bring back as it was: mode bits of files, and times that a zip can't hold. */
export function createInexact(): Inexact {
  const bits = { count: 0, example: '' }
  const times = { count: 0, example: '' }
  const count = (found: typeof bits, path: string): void => {
    if (found.count === 0) found.example = JSON.stringify(path)
    found.count += 1
  }

  return {
    look({ kind, path, mode, mtime }) {
      if (kind === 'file' && (mode & ~restoredFileBits) !== 0) count(bits, path)
      if (archivedSeconds(mtime) !== Math.floor(mtime.getTime() / 1000)) count(times, path)
    },
    sentences: () => [
      ...(bits.count === 0
        ? []
        : [
            `Set-user-id, set-group-id or sticky bits of ${bits.count} ${bits.count === 1 ? 'file' : 'files'}, such as ${bits.example}, are in the archive, but a restore leaves them out for safety: set them again with chmod afterwards.`
          ]),
      ...(times.count === 0
        ? []
        : [
            `Times of ${times.count} ${times.count === 1 ? 'file or folder' : 'files and folders'}, such as ${times.example}, are before 1970 or after 2038-01-19, which the archive can't hold: a restore sets the nearest time that it can.`
          ])
    ]
  }
}
