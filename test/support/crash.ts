import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { systemCode } from '../../src/errors.js'
import { recoverRestores } from '../../src/restore/recover.js'
import type { Action, ChildAnswer } from './crash-child.js'
import type { Fault } from './fault-points.js'
import { compiled } from './project.js'
import { organizationId, type Folders, type Site } from './restore-site.js'
import { restoresOf } from './restores.js'

export interface Run {
  process: ChildProcess
  /** Null when it was killed. */
  answer: Promise<ChildAnswer | null>
}

/** Starts a service that does one thing, as a process of its own. */
export async function startChild(
  { databaseUrl, uploadDir, backupDir, scope }: Folders,
  action: Action,
  fault: Fault = { kind: 'none' }
): Promise<Run> {
  const task = JSON.stringify({ folders: { databaseUrl, uploadDir, backupDir, scope }, action, fault })
  const running = spawn(process.execPath, [compiled('test/support/crash-child.js'), task], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, PG_BIN_DIR: process.env.PG_BIN_DIR, TEST_LOG: process.env.TEST_LOG }
  })
  const answer = Promise.all([text(running.stdout), text(running.stderr), once(running, 'exit')]).then(
    ([output, complaints, [code]]) => {
      if (code === 0) return JSON.parse(output) as ChildAnswer
      if (running.signalCode === 'SIGKILL') return null
      throw new Error(
        `The child ended with ${String(code)} ${String(running.signalCode)} (${task}): ${output}${complaints}`
      )
    }
  )
  return { process: running, answer }
}

export async function runChild(site: Folders, action: Action, fault?: Fault): Promise<ChildAnswer | null> {
  return await (
    await startChild(site, action, fault)
  ).answer
}

export interface Outcome {
  state: string
  leftovers: string[]
}

/** A start of the service, as often as it tries itself while PostgreSQL still ends what the dead one asked for. */
export async function recover(site: Site, tries = 5): Promise<Outcome> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      // As a start does; the child has changed the repository behind this process's back.
      await site.core.repository.removePartials()
      await site.core.catalog.reconcile()
      await recoverRestores(site.core)
      return { state: await site.look(), leftovers: await site.leftovers() }
    } catch (error) {
      if (attempt === tries) throw error
    }
  }
}

export function isWhole({ state }: Outcome): boolean {
  return state === 'aa' || state === 'bb'
}

/** The backup of the state that is not there now. */
export async function otherBackup(site: Site): Promise<string> {
  return site.states[(await site.look()) === 'aa' ? 'b' : 'a'].backupId
}

/** The restore that can be undone now, if there is one. */
export async function undoable(site: Site): Promise<string | undefined> {
  return (await restoresOf(site.core, organizationId)).find(restore => restore.undoable)?.restoreId
}

/** Kills a running psql of the child once there is one, or not at all when the child ends first. */
export async function killPsql({ process: { pid, exitCode } }: Run, ended: Promise<unknown>): Promise<boolean> {
  let over = exitCode !== null
  const done = ended.then(() => {
    over = true
  })
  while (!over) {
    for (const psql of await childrenOf(pid as number)) {
      const name = await readFile(`/proc/${psql}/comm`, 'utf8').catch(() => '')
      if (name.trim() === 'psql') {
        process.kill(psql, 'SIGKILL')
        return true
      }
    }
    await Promise.race([done, new Promise(resolve => setTimeout(resolve, 5))])
  }
  return false
}

/** SIGKILL to every process of a PostgreSQL server, as a crash of its machine would end it. */
export async function killServer(pid: number): Promise<void> {
  const backends = await childrenOf(pid)
  process.kill(pid, 'SIGKILL')
  for (const backend of backends) {
    try {
      process.kill(backend, 'SIGKILL')
    } catch (error) {
      if (systemCode(error) !== 'ESRCH') throw error
    }
  }
}

/** Those that any of its threads has started. */
async function childrenOf(pid: number): Promise<number[]> {
  const threads = await readdir(`/proc/${pid}/task`).catch(() => [])
  const texts = await Promise.all(
    threads.map(async thread => await readFile(`/proc/${pid}/task/${thread}/children`, 'utf8').catch(() => ''))
  )
  return texts
    .flatMap(text => text.split(' '))
    .filter(part => part !== '')
    .map(Number)
}

/**
 * Kills a real process at some of its points and recovers; answers what was not as it should be. `npm run test:crash --
 * --matrix` does it at every point, and without --matrix at random ones, with PostgreSQL's death too.
 */
export async function killAt(
  site: Site,
  makeAction: () => Promise<Action>,
  first: number,
  step: number
): Promise<Array<{ at: number; state: string; leftovers: string[] }>> {
  const wrong = []
  for (let at = first; ; at += step) {
    const answer = await runChild(site, await makeAction(), { kind: 'kill', at })
    const outcome = await recover(site)
    if (!isWhole(outcome) || outcome.leftovers.length > 0) wrong.push({ at, ...outcome })
    if (answer !== null) return wrong
  }
}

/** A restore of the state that is not there. */
export async function restoreOther(site: Site, keep = true): Promise<Action> {
  return { do: 'restore', backupId: await otherBackup(site), keep }
}

/**
 * What an unharmed child reaches; throws when it does not get through, so that no kill is counted that tests nothing.
 */
export async function pointsOf(site: Site, action: Action): Promise<string[]> {
  const answer = await runChild(site, action)
  if (answer === null || answer.error !== undefined)
    throw new Error(`The unharmed ${action.do} failed: ${answer?.error?.message ?? 'killed'}`)
  return answer.points
}
