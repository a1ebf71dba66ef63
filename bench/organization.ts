import path from 'node:path'
import type { Sql } from 'postgres'
import { toEnvironment } from '../src/database/connection/connection.js'
import { median, timed } from './measure.js'
import { readOptions } from './options.js'
import { inSeconds, print } from './print.js'
import { extractDump, loadAndDrop, loadWithPsql } from './psql.js'
import { areInstalled, shell } from './shell.js'
import { onStage, type Stage } from './stage.js'
import { damages, makeOrganizations, makeTriggers, organizationId, writersStatement, type Damage } from './tenants.js'
import { watchDatabase, type DatabaseFindings } from './watch/database.js'

const help = `
Backs up and restores one organization of several that share the tables, against pg_dump and psql of a database that
holds it alone; and how long a writer of another organization has to wait meanwhile.

  npm run bench:organization
  npm run bench:organization -- --rows 200000

Each organization has that many rows. The writer changes a row of its own every few milliseconds.
`
const { numbers, peers, json } = readOptions(help, { rows: 20_000, organizations: 10, rounds: 3 })
const { rows, rounds } = numbers

/** Wall times of each round, in ms. */
interface Timed {
  what: string
  peer: string
  ours: number[]
  theirs: number[]
}
interface Seen {
  damage: string
  triggers: boolean
  rounds: DatabaseFindings[]
}

const times: Timed[] = []
const seen: Seen[] = []
await onStage({ organizationId, environment: { DATABASE_SCOPE: 'organization' } }, async stage => {
  console.error(`Making ${numbers.organizations} organizations of ${rows} rows …`)
  await stage.withSql(async sql => {
    await makeOrganizations(sql, { rows, organizations: numbers.organizations })
  })
  const dump = await timeCreates(stage)
  const { id } = await stage.create('database')
  await timeRestores(stage, id, dump)
  await watchRestores(stage, id, false)
  await stage.withSql(makeTriggers)
  await watchRestores(stage, id, true)
})
printResults()

/** @returns path of a dump of the database that holds the organization alone; null without peers */
async function timeCreates(stage: Stage): Promise<string | null> {
  const { id } = await stage.create('database')
  const compared = peers && (await areInstalled('unzip', 'gzip', 'gunzip'))
  const alone = compared ? await stage.scratchDatabase() : null
  const dump = path.join(await stage.scratchFolder(), 'alone.sql.gz')
  if (alone !== null) await loadWithPsql(stage, await extractDump(stage, stage.archiveOf(id)), alone)
  const entry: Timed = { what: 'create', peer: 'pg_dump | gzip', ours: [], theirs: [] }
  for (let round = 1; round <= rounds; round += 1) {
    console.error(`Timed create ${round} of ${rounds} …`)
    entry.ours.push(await timed(async () => await stage.create('database')))
    if (alone === null) continue
    entry.theirs.push(
      await timed(async () => {
        await shell('"$PG_DUMP" --no-owner | gzip > "$DUMP"', {
          ...stage.environment,
          ...toEnvironment(alone),
          DUMP: dump
        })
      })
    )
  }
  times.push(entry)
  return alone === null ? null : dump
}

async function timeRestores(stage: Stage, id: string, dump: string | null): Promise<void> {
  const kinds = damages.flatMap(damage => [
    { damage, what: `restore, ${damage.name}`, rollbackOnFailure: true },
    { damage, what: `restore, ${damage.name}, no checkpoint`, rollbackOnFailure: false }
  ])
  const entries = kinds.map(({ what }): Timed => ({ what, peer: 'gunzip | psql', ours: [], theirs: [] }))
  for (let round = 1; round <= rounds; round += 1) {
    console.error(`Timed restores ${round} of ${rounds} …`)
    const theirs = dump === null ? [] : [await loadAndDrop(stage, dump)]
    for (const [index, { damage, rollbackOnFailure }] of kinds.entries()) {
      await doDamage(stage, damage)
      entries[index]!.ours.push(await timed(async () => await stage.restore(id, { rollbackOnFailure })))
      entries[index]!.theirs.push(...theirs)
    }
  }
  times.push(...entries)
}

async function watchRestores(stage: Stage, id: string, triggers: boolean): Promise<void> {
  for (const damage of damages) {
    const entry: Seen = { damage: damage.name, triggers, rounds: [] }
    for (let round = 1; round <= rounds; round += 1) {
      console.error(
        `Watched restore ${triggers ? 'with' : 'without'} triggers, ${damage.name}, ${round} of ${rounds} …`
      )
      await doDamage(stage, damage)
      const writer = await watchDatabase({
        connection: stage.connection,
        statement: writersStatement(numbers),
        everyMs: 3,
        connections: 1
      })
      await stage.restore(id)
      entry.rounds.push(await writer.stop())
    }
    seen.push(entry)
  }
}

async function doDamage({ withSql }: Stage, { run }: Damage): Promise<void> {
  await withSql(async (sql: Sql) => {
    await run(sql)
    // As autovacuum would, sooner or later: what earlier rounds left behind is not what is measured.
    await sql`VACUUM ANALYZE`
  })
}

function printResults(): void {
  print(
    {
      title: `One organization of ${numbers.organizations} with ${rows} rows each; ${rounds} rounds.`,
      data: { rows, organizations: numbers.organizations, rounds, times, writer: seen },
      tables: [
        {
          caption: 'Wall times (medians), against a database that holds it alone:',
          rows: times.map(({ what, peer, ours, theirs }) => [
            what,
            {
              'ours s': inSeconds(median(ours)),
              'theirs s': theirs.length === 0 ? '–' : inSeconds(median(theirs)),
              peer,
              'our time / theirs': theirs.length === 0 ? '–' : (median(ours) / median(theirs)).toFixed(2)
            }
          ])
        },
        {
          caption: 'A writer of another organization during the restore (ms; the worst round):',
          rows: seen.map(({ damage, triggers, rounds }) => [
            `${triggers ? 'with' : 'without'} triggers, ${damage}`,
            {
              'longest pause': Math.round(Math.max(...rounds.map(({ pauseMs }) => pauseMs))),
              'typical gap': Math.round(median(rounds.map(({ typicalGapMs }) => typicalGapMs))),
              writes: rounds.reduce((sum, { answers }) => sum + answers, 0),
              errors: rounds.reduce((sum, { errors }) => sum + errors, 0)
            }
          ])
        }
      ]
    },
    { json }
  )
}
