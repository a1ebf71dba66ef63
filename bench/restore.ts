import { rm } from 'node:fs/promises'
import type { RestoreReport } from '../src/restore/report.js'
import { makeDatabase, makeFiles, organizationId } from './data.js'
import { median, timed, type Distribution } from './measure.js'
import { readOptions } from './options.js'
import { inSeconds, print } from './print.js'
import { extractDump, loadAndDrop } from './psql.js'
import { areInstalled, shell } from './shell.js'
import { onStage, type Stage } from './stage.js'
import { watchDatabase, type DatabaseFindings } from './watch/database.js'
import type { LoopDelays } from './watch/event-loop.js'
import { watchHealth } from './watch/health.js'

const help = `
Restores at two sizes, the second ten times the first: what a client of the database and one of the service see
meanwhile, and how long it takes against unzip and psql on the same archives, in turn.

  npm run bench:restore
  npm run bench:restore -- --database-mb 58 --large-mb 100 --small-files 2000
`
const { numbers, peers, json } = readOptions(help, {
  'database-mb': 5,
  'large-mb': 5,
  'small-files': 200,
  factor: 10,
  rounds: 3
})
const { factor, rounds } = numbers

/** One restore of everything, as others saw it. */
interface Seen {
  client: DatabaseFindings
  report: RestoreReport
  loop: LoopDelays
  liveness: Distribution
}
/** Wall times of each round, in ms. */
interface Timed {
  part: 'files' | 'database'
  peer: string
  ours: number[]
  theirs: number[]
}
interface Result {
  databaseMb: number
  largeMb: number
  smallFiles: number
  seen: Seen[]
  times: Timed[]
}

const results: Result[] = []
for (const scale of [1, factor]) {
  const sizes = {
    databaseMb: numbers['database-mb'] * scale,
    largeMb: numbers['large-mb'] * scale,
    smallFiles: numbers['small-files'] * scale
  }
  await onStage({ organizationId }, async stage => {
    console.error(`Making ${sizes.databaseMb} MB of SQL and ${sizes.largeMb} MB in files …`)
    await stage.withSql(async sql => {
      await makeDatabase(sql, sizes)
    })
    await makeFiles(stage.folder, sizes)
    results.push({ ...sizes, seen: await watchRestores(stage), times: await timeRestores(stage) })
  })
}
printResults()

async function watchRestores({ create, restore, connection, service, loopDelays }: Stage): Promise<Seen[]> {
  const { id } = await create('full')
  const seen: Seen[] = []
  for (let round = 1; round <= rounds; round += 1) {
    console.error(`Watched restore ${round} of ${rounds} …`)
    const health = await watchHealth({ baseUrl: service.baseUrl })
    const client = await watchDatabase({
      connection,
      statement: 'SELECT count(*) FROM organizations',
      everyMs: 1,
      connections: 5
    })
    await loopDelays()
    const report = await restore(id)
    seen.push({ report, loop: await loopDelays(), client: await client.stop(), liveness: await health.stop() })
  }
  return seen
}

async function timeRestores(stage: Stage): Promise<Timed[]> {
  const contenders = [
    { part: 'files' as const, peer: 'unzip', needs: ['unzip'], run: unzip },
    { part: 'database' as const, peer: 'gunzip | psql', needs: ['unzip', 'gunzip'], run: loadWithoutUs }
  ]
  const all: Timed[] = []
  for (const { part, peer, needs, run } of contenders) {
    const { id } = await stage.create(part)
    const compared = peers && (await areInstalled(...needs))
    const times: Timed = { part, peer, ours: [], theirs: [] }
    for (let round = 1; round <= rounds; round += 1) {
      console.error(`Timed restore of the ${part} ${round} of ${rounds} …`)
      times.ours.push(await timed(async () => await stage.restore(id)))
      if (compared) times.theirs.push(await run(stage, stage.archiveOf(id)))
    }
    all.push(times)
  }
  return all
}

async function unzip({ environment, scratchFolder }: Stage, archive: string): Promise<number> {
  const target = await scratchFolder()
  const took = await timed(async () => {
    await shell('unzip -q "$ARCHIVE" -d "$TARGET"', { ...environment, ARCHIVE: archive, TARGET: target })
  })
  await rm(target, { recursive: true })
  return took
}

/** Without unzip in the time: the dump lies there already. */
async function loadWithoutUs(stage: Stage, archive: string): Promise<number> {
  const dump = await extractDump(stage, archive)
  const took = await loadAndDrop(stage, dump)
  await rm(dump)
  return took
}

function printResults(): void {
  const sizeOf = ({ databaseMb, largeMb, smallFiles }: Result): string =>
    `${databaseMb} MB SQL, ${largeMb} MB + ${smallFiles} files`
  print(
    {
      title: `Restores at two sizes, ${factor}× apart; ${rounds} rounds.`,
      data: { rounds, results },
      tables: [
        {
          caption:
            "A full restore, seen by a client with a pool that asks every millisecond, by the service's event loop from inside, and by GET /health/live every 10 ms (all in ms; the worst round):",
          rows: results.map(result => {
            const worst = (value: (seen: Seen) => number): number => Math.round(Math.max(...result.seen.map(value)))
            return [
              sizeOf(result),
              {
                'client outage': worst(({ client }) => client.pauseMs),
                errors: worst(({ client }) => client.errors),
                "report's outageMs": worst(({ report }) => report.outageMs ?? 0),
                'loop p99': worst(({ loop }) => loop.p99),
                'loop max': worst(({ loop }) => loop.max),
                'live p50': worst(({ liveness }) => liveness.p50),
                'live p99': worst(({ liveness }) => liveness.p99),
                'live max': worst(({ liveness }) => liveness.max)
              }
            ]
          })
        },
        {
          caption: 'Wall times (medians):',
          rows: results.flatMap(result =>
            result.times.map(({ part, peer, ours, theirs }): [string, Record<string, string>] => [
              `${part}, ${sizeOf(result)}`,
              {
                'ours s': inSeconds(median(ours)),
                'theirs s': theirs.length === 0 ? '–' : inSeconds(median(theirs)),
                peer,
                'our time / theirs': theirs.length === 0 ? '–' : (median(ours) / median(theirs)).toFixed(2)
              }
            ])
          )
        }
      ]
    },
    { json }
  )
}
