import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { runClients, type Served } from './clients.js'
import { organizationId } from './data.js'
import { readOptions } from './options.js'
import { print } from './print.js'
import { makeRecords } from './records.js'
import { onStage } from './stage.js'

const help = `
Lists and gets backups from a catalog of many, and from one with a tenth of them, by many clients at once: with a pause
before each call, as people and dashboards make them, and then without any, which shows what the service can do at most.

  npm run bench:list
  npm run bench:list -- --backups 10000 --clients 200
`
const { numbers, json } = readOptions(help, { backups: 1000, clients: 50, cycles: 10, 'pause-ms': 500 })
const { backups, clients, cycles } = numbers

interface Result {
  backups: number
  pauseMs: number
  served: Served
}

const results: Result[] = []
for (const count of [Math.ceil(backups / 10), backups]) {
  const backupDir = await mkdtemp(path.join(tmpdir(), 'dumbassets-backup-bench-'))
  try {
    console.error(`Making ${count} records …`)
    await makeRecords(backupDir, { organizationId, count })
    await onStage(
      { organizationId, environment: { BACKUP_DIR: backupDir, RATE_LIMIT: '1000000' } },
      async ({ service: { baseUrl }, token }) => {
        // The first listing after a start reads every record, and the first calls are compiled.
        await runClients({ baseUrl, token, clients, cycles: 1, pauseMs: 0 })
        for (const pauseMs of [numbers['pause-ms'], 0]) {
          console.error(`${clients} clients, ${pauseMs} ms between their calls …`)
          results.push({
            backups: count,
            pauseMs,
            served: await runClients({ baseUrl, token, clients, cycles, pauseMs })
          })
        }
      }
    )
  } finally {
    await rm(backupDir, { recursive: true, force: true })
  }
}
print(
  {
    title: `${clients} clients look through a catalog, ${cycles} times each.`,
    data: { clients, cycles, results },
    tables: [numbers['pause-ms'], 0].map(pauseMs => ({
      caption: `${pauseMs} ms between a client's calls (times in ms):`,
      rows: results
        .filter(result => result.pauseMs === pauseMs)
        .flatMap(({ backups, served }) =>
          Object.entries(served.calls).map(
            ([kind, { count, p50, p99, max }]): [string, Record<string, string | number>] => [
              `${kind}, ${backups} backups`,
              {
                calls: count,
                p50: p50.toFixed(1),
                p99: p99.toFixed(1),
                max: max.toFixed(1),
                'all calls a second': Math.round(served.perSecond)
              }
            ]
          )
        )
    }))
  },
  { json }
)
