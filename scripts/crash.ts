import { parseArgs } from 'node:util'
import { setTimeout } from 'node:timers/promises'
import { createCluster, removeCluster, startClusterServer, type ClusterFiles } from '../test/support/cluster.js'
import {
  isWhole,
  killPsql,
  killServer,
  otherBackup,
  pointsOf,
  recover,
  restoreOther,
  runChild,
  startChild,
  undoable
} from '../test/support/crash.js'
import type { Action, ChildAnswer } from '../test/support/crash-child.js'
import type { Fault } from '../test/support/fault-points.js'
import { createSite, type Site } from '../test/support/restore-site.js'

const help = `Kills restores at random moments and looks whether all is as before or as restored, database and files together.

  npm run test:crash -- --rounds 200   how many (default 50)
  npm run test:crash -- --seconds 600  in place of so many: until the time is over
  npm run test:crash -- --seed 7       repeats the choices of an earlier run (default 1)
  npm run test:crash -- --matrix       in place of random ones: a kill at every point of a restore and of an undo

Starts a PostgreSQL of its own in a temporary folder. Ends with 1 when a round was not consistent or left something.
`
const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '50' },
    seconds: { type: 'string' },
    seed: { type: 'string', default: '1' },
    matrix: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' }
  }
})
if (options.help === true) {
  console.log(help)
  process.exit(0)
}

interface Server {
  files: ClusterFiles
  pid: number
}

const random = generator(Number(options.seed))
const pick = (count: number): number => Math.floor(random() * count)
const points: Record<Action['do'], number> = { restore: 0, undo: 0, create: 0, release: 0, recover: 0 }
const counts = { consistent: 0, mixed: 0, leftovers: 0 }
const teardowns: Array<() => Promise<void>> = []
process.exitCode = await main()

async function main(): Promise<number> {
  const files = await createCluster()
  try {
    const server: Server = { files, pid: await startClusterServer(files) }
    const site = await createSite({ teardown: step => teardowns.unshift(step) }, { cluster: files })
    for (const kind of ['restore', 'undo', 'restore', 'release', 'recover'] as const) {
      points[kind] = (
        await pointsOf(
          site,
          kind === 'restore'
            ? await restoreOther(site)
            : kind === 'undo'
              ? { do: 'undo', restoreId: (await undoable(site)) as string }
              : { do: kind }
        )
      ).length
    }
    if (options.matrix === true) await matrix(site)
    else for (let round = 1; goesOn(round); round += 1) await randomRound(site, server, round)
  } catch (error) {
    // Before cleaning up, which can fail for the same reason.
    console.error(error)
    throw error
  } finally {
    for (const step of teardowns) await step()
    await removeCluster(files)
  }
  console.log(`${counts.consistent} consistent, ${counts.mixed} mixed, ${counts.leftovers} leftovers`)
  return counts.mixed === 0 && counts.leftovers === 0 ? 0 : 1
}

function goesOn(round: number): boolean {
  return options.seconds === undefined
    ? round <= Number(options.rounds)
    : performance.now() < Number(options.seconds) * 1000
}

async function matrix(site: Site): Promise<void> {
  for (const kind of ['restore', 'undo'] as const) {
    for (let at = 1; ; at += 1) {
      if (kind === 'undo' && (await undoable(site)) === undefined)
        await runChild(site, { do: 'restore', backupId: await otherBackup(site), keep: true })
      const action: Action =
        kind === 'restore'
          ? { do: 'restore', backupId: await otherBackup(site), keep: true }
          : { do: 'undo', restoreId: (await undoable(site)) as string }
      const answer = await runChild(site, action, { kind: 'kill', at })
      await judge(site, `${kind} killed at ${at}`, null)
      if (answer !== null) break
    }
  }
}

async function randomRound(site: Site, server: Server, round: number): Promise<void> {
  const before = await site.look()
  const action = await randomAction(site)
  const what = ['kill', 'kill', 'kill', 'fail', 'time', 'psql', 'server'][pick(7)] as string
  const fault: Fault =
    what === 'kill'
      ? { kind: 'kill', at: 1 + pick(points[action.do]) }
      : what === 'fail'
        ? { kind: 'fail', at: 1 + pick(points[action.do]), code: ['EIO', 'ENOSPC'][pick(2)] as string }
        : { kind: 'none' }
  const delayMs = 500 + pick(900)
  const name = `${round}: ${action.do}${action.do === 'restore' && action.dryRun === true ? ' (dry run)' : ''}, ${describe(what, fault, delayMs)}`

  const run = await startChild(site, action, fault)
  if (what === 'psql') await killPsql(run, run.answer)
  if (what === 'time' || what === 'server') await Promise.race([setTimeout(delayMs), run.answer])
  if (what === 'time') run.process.kill('SIGKILL')
  if (what === 'server') await killServer(server.pid)
  const answer = await run.answer
  if (what === 'server') server.pid = await startClusterServer(server.files)

  const promised = answer === null ? null : await whatWasPromised(site, action, answer, before)
  let recoveries = 0
  while (pick(3) === 0) {
    await runChild(site, { do: 'recover' }, { kind: 'kill', at: 1 + pick(120) })
    recoveries += 1
  }
  await judge(site, `${name}${recoveries === 0 ? '' : `, recovery killed ${recoveries} times`}`, promised)
}

async function randomAction(site: Site): Promise<Action> {
  const kind = pick(10)
  const restoreId = await undoable(site)
  if (kind < 3 && restoreId !== undefined) return { do: 'undo', restoreId }
  if (kind === 3) return { do: 'release' }
  return { do: 'restore', backupId: await otherBackup(site), keep: pick(4) > 0, dryRun: kind === 4 }
}

/** The state that the answer of a service that lived on promises; null when it says that it does not know. */
async function whatWasPromised(
  site: Site,
  action: Action,
  { error }: ChildAnswer,
  before: string
): Promise<string | null> {
  if (error?.code === 'RESTORE_UNFINISHED') return null
  const moves = error === undefined && (action.do === 'undo' || (action.do === 'restore' && action.dryRun !== true))
  const promised = moves ? (before === 'aa' ? 'bb' : 'aa') : before
  return (await site.look()) === promised ? promised : `${promised}, at once`
}

async function judge(site: Site, name: string, promised: string | null): Promise<void> {
  const outcome = await recover(site)
  const isConsistent = isWhole(outcome) && (promised === null || promised === outcome.state)
  if (isConsistent) counts.consistent += 1
  else counts.mixed += 1
  if (outcome.leftovers.length > 0) counts.leftovers += 1
  const leftovers = outcome.leftovers.length === 0 ? '' : `; left: ${outcome.leftovers.join(', ')}`
  console.log(`${name}: ${outcome.state}${isConsistent ? '' : ` and not ${promised ?? 'whole'}`}${leftovers}`)
}

function describe(what: string, fault: Fault, delayMs: number): string {
  if (fault.kind === 'kill') return `killed at ${fault.at}`
  if (fault.kind === 'fail') return `${fault.code} at ${fault.at}`
  if (what === 'psql') return 'psql killed'
  return `${what === 'server' ? 'PostgreSQL' : 'service'} killed after ${delayMs} ms`
}

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
function generator(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}
