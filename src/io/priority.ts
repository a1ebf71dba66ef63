import { readdir } from 'node:fs/promises'
import { getPriority, setPriority } from 'node:os'

/**
 * A tenth of the main thread's share where both want the core (sched(7)). Measured in pairs on two busy cores: the
 * event loop's p99 in a backup is 61 ms in place of 120 (at 5: 96), and a restore, whose psql inherits it, takes 8 %
 * longer, a backup no longer: PostgreSQL's own processes, which do most of the work, keep their priority.
 */
const niceBelow = 10
const leastPriority = 19

/**
 * For a thread to begin with: where cores are scarce, the main thread and what it answers go before it, and before the
 * programs that it starts.
 */
export function giveWay(): void {
  lower(0)
}

/**
 * The same for the threads of Node.js that work for the main thread, to be called by it before its work begins: one
 * that it wakes to read a file would else take its core at once. With 200 clients, two backups and downloads the event
 * loop's p99 was 45 ms in place of 50. Where /proc is not there, all go on alike.
 */
export async function letThreadsGiveWay(): Promise<void> {
  // This reads with the pool, whose threads all start with its first use (libuv, "Thread pool work scheduling").
  const threads = (await readdir('/proc/self/task').catch(() => [])).map(Number)
  for (const thread of threads) if (thread !== process.pid) lower(thread)
}

/**
 * On Linux a priority is a thread's own (setpriority(2), "Notes"), elsewhere that of the process. 0 is the calling
 * thread.
 */
function lower(thread: number): void {
  if (process.platform !== 'linux') return
  try {
    // Below the main thread's, since a thread that another worker starts has given way already.
    setPriority(thread, Math.min(getPriority(process.pid) + niceBelow, leastPriority))
  } catch {
    // Where a sandbox forbids it, or the thread has ended, all go on alike.
  }
}
