import { Agent, get, type IncomingMessage } from 'node:http'
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { runClients, type Served } from './clients.js'
import { addFiles, makeDatabase, makeFiles, organizationId } from './data.js'
import { measure, processBytes, timed, type Distribution } from './measure.js'
import { readOptions } from './options.js'
import { inMegabytes, inSeconds, print } from './print.js'
import { makeRecords } from './records.js'
import { onStage, type Stage } from './stage.js'
import type { LoopDelays } from './watch/event-loop.js'
import { watchHealth } from './watch/health.js'

const help = `
Everything at once: a catalog of many backups, clients that look through it, two backups that run and archives that are
downloaded meanwhile; then many organizations that ask for a backup at the same time; then SIGTERM while they do so.

  npm run bench:load
  npm run bench:load -- --backups 10000 --clients 200 --organizations 50 --large-mb 300 --small-files 2000
`
const { numbers, json } = readOptions(help, {
  backups: 1000,
  clients: 50,
  cycles: 5,
  'pause-ms': 500,
  organizations: 10,
  downloads: 4,
  'database-mb': 5,
  'large-mb': 20,
  'small-files': 200,
  'max-jobs': 2
})

/** How the service felt meanwhile: its event loop from inside, and GET /health/live every 10 ms. */
interface Felt {
  loop: LoopDelays
  alive: Distribution
  peakBytes: number | null
  wallMs: number
}

const other = 'bench-other'
let busy: (Felt & { served: Served; backups: number; downloadedBytes: number }) | undefined
let crowd: (Felt & { made: number; furthestFromTurn: number }) | undefined
let stopped: { answered: number; refused: number; kept: number; partial: number; stopMs: number } | undefined

const environment = { RATE_LIMIT: '1000000', MAX_JOBS: String(numbers['max-jobs']), DATABASE_SCOPE: 'organization' }
await onStage({ organizationId, environment }, async stage => {
  await prepare(stage)
  console.error(`${numbers.clients} clients, two backups and ${numbers.downloads} downloads …`)
  busy = await whileBusy(stage)
  console.error(`${numbers.organizations} organizations ask for a backup at once …`)
  crowd = await inACrowd(stage)
  console.error('And again, until SIGTERM …')
  stopped = await stopInTheMiddle(stage)
})
printResults()

function crowdOf(): string[] {
  return Array.from({ length: numbers.organizations }, (_, index) => `crowd-${index}`)
}

async function prepare(stage: Stage): Promise<void> {
  console.error(
    `Making ${numbers.backups} records, ${numbers['database-mb']} MB of SQL and ${numbers['large-mb']} MB in files …`
  )
  const {
    service: { uploadDir, backupDir }
  } = stage
  await makeRecords(backupDir, { organizationId, count: numbers.backups })
  await stage.withSql(async sql => {
    await makeDatabase(sql, { databaseMb: numbers['database-mb'], largeMb: 0, smallFiles: 0 })
    for (const id of [other, ...crowdOf()]) await sql`INSERT INTO organizations VALUES (${id}, ${id})`
  })
  for (const id of [organizationId, other])
    await makeFiles(path.join(uploadDir, id), {
      databaseMb: 0,
      largeMb: numbers['large-mb'],
      smallFiles: numbers['small-files']
    })
  for (const id of crowdOf())
    await addFiles(path.join(uploadDir, id), { first: 0, count: Math.ceil(numbers['small-files'] / 20) })
}

async function feel(stage: Pick<Stage, 'service' | 'loopDelays'>, work: () => Promise<unknown>): Promise<Felt> {
  const { baseUrl, pid } = stage.service
  const health = await watchHealth({ baseUrl })
  await stage.loopDelays()
  const { wallMs, peakBytes } = await measure(work, async () => await processBytes(pid))
  return { wallMs, peakBytes, loop: await stage.loopDelays(), alive: await health.stop() }
}

async function whileBusy(stage: Stage): Promise<NonNullable<typeof busy>> {
  const {
    service: { baseUrl },
    token
  } = stage
  const { id } = await stage.create('full')
  // The first listing reads every record, the first calls are compiled, and who asks again and again has connected
  // before.
  const agent = new Agent({ keepAlive: true })
  await runClients({ baseUrl, token, clients: numbers.clients, cycles: 1, pauseMs: 0, agent })
  let served: Served | undefined
  let [backups, downloadedBytes] = [0, 0]
  const felt = await feel(stage, async () => {
    let clientsWork = true
    const whileTheyDo = async (step: () => Promise<void>): Promise<void> => {
      while (clientsWork) await step()
    }
    await Promise.all([
      runClients({
        baseUrl,
        token,
        clients: numbers.clients,
        cycles: numbers.cycles,
        pauseMs: numbers['pause-ms'],
        agent
      }).then(answer => {
        served = answer
        clientsWork = false
      }),
      ...[organizationId, other].map(
        async organization =>
          await whileTheyDo(async () => {
            await stage.create('full', organization)
            backups += 1
          })
      ),
      ...Array.from(
        { length: numbers.downloads },
        async () =>
          await whileTheyDo(async () => {
            downloadedBytes += await download(stage, id)
          })
      )
    ])
  })
  agent.destroy()
  return { ...felt, served: served!, backups, downloadedBytes }
}

async function inACrowd({ create, ...stage }: Stage): Promise<NonNullable<typeof crowd>> {
  const organizations = crowdOf()
  const ended: string[] = []
  const felt = await feel(stage, async () => {
    await Promise.all(
      organizations.map(async organization => {
        await create('full', organization)
        ended.push(organization)
      })
    )
  })
  const outOfTurn = ended.map((organization, turn) => Math.abs(turn - organizations.indexOf(organization)))
  return { ...felt, made: ended.length, furthestFromTurn: Math.max(...outOfTurn) }
}

async function stopInTheMiddle({ create, service }: Stage): Promise<NonNullable<typeof stopped>> {
  const answered: string[] = []
  let [refused, stopMs] = [0, 0]
  const kept = async (suffix: string): Promise<string[]> =>
    (await readdir(service.backupDir, { recursive: true })).filter(name => name.endsWith(suffix))
  let stopping: Promise<void> | undefined
  const stop = async (): Promise<void> => {
    process.kill(service.pid, 'SIGTERM')
    stopMs = await timed(async () => await service.ended)
  }
  await Promise.all(
    crowdOf().map(async organization => {
      try {
        answered.push((await create('full', organization)).id)
      } catch {
        refused += 1
      }
      if (answered.length >= Math.ceil(numbers.organizations / 5)) stopping ??= stop()
    })
  )
  await stopping
  const after = new Set((await kept('.json')).map(name => path.basename(name)))
  return {
    answered: answered.length,
    refused,
    kept: answered.filter(id => after.has(`backup-${id}.json`)).length,
    partial: (await kept('.zip')).length - after.size + (await kept('.partial')).length,
    stopMs
  }
}

/** @returns bytes that came */
async function download({ service, token }: Stage, backupId: string): Promise<number> {
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    get(
      `${service.baseUrl}/api/backup/${backupId}/download`,
      { headers: { authorization: `Bearer ${token}` } },
      resolve
    ).once('error', reject)
  })
  let bytes = 0
  for await (const chunk of answer) bytes += (chunk as Buffer).length
  if (answer.statusCode !== 200) throw new Error(`The download was answered with ${answer.statusCode}.`)
  return bytes
}

function printResults(): void {
  if (busy === undefined || crowd === undefined || stopped === undefined) return
  const feltBy = ({ loop, alive, peakBytes, wallMs }: Felt): Record<string, string> => ({
    'loop p50 ms': loop.p50.toFixed(1),
    'loop p99 ms': loop.p99.toFixed(1),
    'loop max ms': loop.max.toFixed(1),
    'no core %': ((100 * loop.waitedMs) / wallMs).toFixed(0),
    'live p50 ms': alive.p50.toFixed(1),
    'live p99 ms': alive.p99.toFixed(1),
    'live max ms': alive.max.toFixed(1),
    'peak MB': peakBytes === null ? '–' : inMegabytes(peakBytes),
    seconds: inSeconds(wallMs)
  })
  print(
    {
      title: `A catalog of ${numbers.backups}, ${numbers.clients} clients, ${numbers.downloads} downloads, two backups; then ${numbers.organizations} organizations at once, ${numbers['max-jobs']} jobs at a time.`,
      data: { ...numbers, busy, crowd, stopped },
      tables: [
        {
          caption:
            'The service meanwhile: the delay of its event loop, measured inside it, and how long its main thread waited for a core; GET /health/live every 10 ms; its peak memory:',
          rows: [
            [`${busy.backups} backups and ${inMegabytes(busy.downloadedBytes)} MB downloaded`, feltBy(busy)],
            [`${crowd.made} of ${numbers.organizations} organizations have their backup`, feltBy(crowd)]
          ]
        },
        {
          caption: 'The clients (times in ms):',
          rows: Object.entries(busy.served.calls).map(([kind, { count, p50, p99, max }]) => [
            kind,
            { calls: count, p50: p50.toFixed(1), p99: p99.toFixed(1), max: max.toFixed(1) }
          ])
        },
        {
          caption: 'In line, and stopped in the middle:',
          rows: [
            ['furthest that a backup ended from its turn', { value: crowd.furthestFromTurn }],
            ['answered before the end', { value: stopped.answered }],
            ['of them kept', { value: stopped.kept }],
            ['refused, as the service was stopping', { value: stopped.refused }],
            ['parts of archives left', { value: stopped.partial }],
            ['seconds from SIGTERM to the end', { value: inSeconds(stopped.stopMs) }]
          ]
        }
      ]
    },
    { json }
  )
}
