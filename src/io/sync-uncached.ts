import type { FileHandle } from 'node:fs/promises'
import { runProgram } from './process.js'

const ddProgram = '/bin/dd'

/**
 * Makes what was written to a file durable, and has the page cache drop it where GNU's dd is there to ask for that, which
 * Node.js can't (posix_fadvise(2), POSIX_FADV_DONTNEED; coreutils manual, "dd invocation", nocache).
 * @param path of the same file
 */
export async function syncUncached (handle: FileHandle, path: string): Promise<void> {
  await handle.datasync()
  await runProgram(ddProgram, ['if=/dev/null', `of=${path}`, 'oflag=nocache', 'conv=notrunc,nocreat', 'count=0', 'status=none']).catch(() => {
    // Another dd, or none: the system drops it when it needs the room.
  })
}
