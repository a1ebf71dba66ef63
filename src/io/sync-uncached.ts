import type { FileHandle } from 'node:fs/promises'
import { startProgramInto } from './process.js'

const ddProgram = '/bin/dd'

/**
 * Makes what was written to a file durable, and has the page cache drop it where GNU's dd is there to ask for that,
 * which Node.js can't (posix_fadvise(2), POSIX_FADV_DONTNEED; coreutils manual, "dd invocation", nocache).
 */
export async function syncUncached(handle: FileHandle): Promise<void> {
  await handle.datasync()
  try {
    // Whatever lies at the file's path by now, even a FIFO that dd would wait for, its output is this file. Opened
    // again, it begins at 0.
    await startProgramInto(handle.fd, ddProgram, [
      'if=/dev/null',
      'of=/dev/stdout',
      'oflag=nocache',
      'conv=notrunc,nocreat',
      'count=0',
      'status=none'
    ]).done
  } catch {
    // Another dd, or none, or a file that is closed by now: the system drops it when it needs the room.
  }
}
