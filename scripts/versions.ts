import { parseArgs } from 'node:util'
import { createCluster, removeCluster, startClusterServer, type ClusterFiles } from '../test/support/cluster.js'
import { runCycle, runUpgrade, scopes, type Scope } from '../test/versions/cycle.js'
import { findPlatforms, type Programs } from '../test/versions/platforms.js'

const help = `Runs the documented cycle (create, load by hand, dry run, restore, undo) on each pair of a PostgreSQL server and
a client of its major version or newer that this machine has or can fetch, and moves backups to the next server's version.

  npm run test:versions                                          every pair
  npm run test:versions -- --server 15 --server 16 --client 17   those of these major versions
`
const { values: options } = parseArgs({
  options: {
    server: { type: 'string', multiple: true },
    client: { type: 'string', multiple: true },
    help: { type: 'boolean', short: 'h' }
  }
})
if (options.help === true) console.log(help)
else process.exitCode = await run()

interface Running {
  cluster: ClusterFiles
  server: Programs
}

async function run(): Promise<number> {
  const { servers, clients, missing } = await findPlatforms()
  const chosen = (programs: Programs[], majors: string[] | undefined): Programs[] =>
    programs.filter(({ major }) => majors === undefined || majors.includes(String(major)))
  const counts = { passed: 0, failed: 0 }
  const clusters: ClusterFiles[] = []
  const report = async (
    pair: string,
    scope: string,
    work: (t: { teardown(fn: () => Promise<void>): unknown }) => Promise<void>
  ): Promise<void> => {
    const started = performance.now()
    const cleanUps: Array<() => Promise<void>> = []
    let result = 'ok'
    try {
      await work({ teardown: fn => cleanUps.unshift(fn) })
      counts.passed += 1
    } catch (error) {
      result = `FAILED: ${(error as Error).message}`
      counts.failed += 1
    }
    for (const cleanUp of cleanUps)
      await cleanUp().catch((error: unknown) => {
        console.error(error)
      })
    console.log(
      `| ${pair.padEnd(56)} | ${scope.padEnd(16)} | ${result} | ${((performance.now() - started) / 1000).toFixed(1)} s |`
    )
  }
  console.log('| server <- client | scope | result | time |\n|---|---|---|---|')
  try {
    let former: Running | undefined
    for (const server of chosen(servers, options.server)) {
      const fitting = chosen(clients, options.client).filter(({ major }) => major >= server.major)
      if (fitting.length === 0) continue
      const cluster = await startServer(server)
      clusters.push(cluster)
      for (const client of fitting) {
        for (const scope of scopes)
          await report(
            `${server.label} <- ${client.label}`,
            scope,
            async t => await runCycle(t, cluster, server, client, scope)
          )
      }
      const client = fitting.at(-1)!
      if (former !== undefined && former.server.major < server.major) {
        const from = { ...former, client }
        for (const scope of ['swap', 'merge'] satisfies Scope[]) {
          await report(
            `${server.label} <- a backup of ${from.server.label}`,
            `upgrade, ${scope}`,
            async t => await runUpgrade(t, from, { cluster, server, client }, scope)
          )
        }
      }
      former = { cluster, server }
    }
  } finally {
    for (const cluster of clusters) await removeCluster(cluster)
  }
  console.log(`\n${counts.passed} passed, ${counts.failed} failed.`)
  if (missing.length > 0) console.log(`Not to be had here:\n${missing.map(reason => `- ${reason}`).join('\n')}`)
  return counts.failed === 0 && counts.passed > 0 ? 0 : 1
}

/** The cluster's helpers take the server's programs from PG_BIN_DIR. */
async function startServer({ binDir }: Programs): Promise<ClusterFiles> {
  const own = process.env.PG_BIN_DIR
  process.env.PG_BIN_DIR = binDir
  try {
    const cluster = await createCluster()
    await startClusterServer(cluster)
    return cluster
  } finally {
    if (own === undefined) delete process.env.PG_BIN_DIR
    else process.env.PG_BIN_DIR = own
  }
}
