import { readdirSync, readFileSync } from 'node:fs'
import { readdir, readlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'

/** What work can leave behind in this process and around it. Linux only. */
export interface Traces {
  threads: number
  /** Open ends of pipes that have a name, which are those of our own making. */
  pipes: number
  /** Names of the programs that this process has started and that have not ended. */
  programs: string[]
  temporary: string[]
}

export async function traces(): Promise<Traces> {
  const links = await Promise.all(
    (await readdir('/proc/self/fd')).map(
      async descriptor => await readlink(`/proc/self/fd/${descriptor}`).catch(() => '')
    )
  )
  return {
    threads: (await readdir('/proc/self/task')).length,
    pipes: links.filter(link => link.includes('dumbassets-pipe-')).length,
    programs: children().map(({ name }) => name),
    temporary: (await readdir(tmpdir())).filter(name => name.startsWith('dumbassets-pipe-'))
  }
}

/** The nice value of each thread of this process but the main one (proc_pid_stat(5), field 19). */
export function threadPriorities(): number[] {
  const threads = readdirSync('/proc/self/task').filter(thread => Number(thread) !== process.pid)
  return threads.flatMap(thread => {
    const stat = statOf(`/proc/self/task/${thread}/stat`)
    return stat === null ? [] : [Number(stat.fields[16])]
  })
}

/** Process ids of the programs of this name that this process has started. */
export function childrenNamed(name: string): number[] {
  return children()
    .filter(child => child.name === name)
    .map(({ pid }) => pid)
}

function children(): Array<{ pid: number; name: string }> {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .flatMap(pid => {
      const stat = statOf(`/proc/${pid}/stat`)
      return stat !== null && Number(stat.fields[1]) === process.pid ? [{ pid: Number(pid), name: stat.name }] : []
    })
}

/** The name, and the fields from the third on; null when it has ended. */
function statOf(path: string): { name: string; fields: string[] } | null {
  try {
    const stat = readFileSync(path, 'utf8')
    const end = stat.lastIndexOf(')')
    return { name: stat.slice(stat.indexOf('(') + 1, end), fields: stat.slice(end + 2).split(' ') }
  } catch {
    return null
  }
}
