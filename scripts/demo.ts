import { randomBytes } from 'node:crypto'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { loadSampleRows } from '../sample/rows.js'
import { loadSampleSchema } from '../sample/schema.js'
import { writeSampleFiles } from '../sample/files.js'
import { proveRestore } from './demo/prove-restore.js'
import { startService, type Service } from './demo/service.js'
import { bold, dim, green, line, red, seconds, step } from './demo/show.js'
import { connectToEmbedded, makeToken } from './demo/access.js'

const help = `Shows the main job on sample data: one of two organizations that share a database backs up, has a bad day, restores and undoes
that, while the other goes on working; and proves that each has what it should.

  npm run demo                 runs it, then stops the service and removes everything
  npm run demo -- --keep       leaves the service running until Ctrl-C, with a token to try it
  npm run demo -- --port 3000  the port to listen on; any free one when left out
`
const organizations = ['acme', 'globex'] as const
const [owner, neighbour] = organizations

const { values: options } = parseArgs({
  options: { keep: { type: 'boolean' }, port: { type: 'string' }, help: { type: 'boolean', short: 'h' } }
})
if (options.help === true) {
  console.log(help)
  process.exit(0)
}

const interrupted = new Promise<NodeJS.Signals>(resolve => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => {
      resolve(signal)
    })
})
// A reader that goes away, as in `npm run demo | head`, must not keep us from cleaning up.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
process.exitCode = await main()

async function main(): Promise<number> {
  const startedAt = performance.now()
  const jwtSecret = randomBytes(32).toString('hex')
  let service: Service | null = null
  try {
    step('Starting the service on an embedded PostgreSQL')
    service = await startService({ jwtSecret, port: options.port })
    line(
      `${service.baseUrl}, ready after ${seconds(performance.now() - startedAt)}; everything it writes is in ${service.folder}`
    )
    const outcome = await Promise.race([
      show(service, jwtSecret),
      interrupted,
      service.ended.then(() => 'ended' as const)
    ])
    if (outcome === 'ended') throw new Error('The service ended unexpectedly.')
    if (outcome !== undefined) {
      console.log(`\n${outcome}: cleaning up`)
      return 130
    }
    line(`${green('The demo succeeded')} in ${seconds(performance.now() - startedAt)}.`)
    if (options.keep === true) await keepRunning(service, jwtSecret)
    return 0
  } catch (error) {
    console.error(red(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}`))
    if (service !== null) console.error(dim(`The end of the service's log:\n${await service.logTail()}`))
    return 1
  } finally {
    await service?.remove()
  }
}

async function show(service: Service, jwtSecret: string): Promise<void> {
  const sql = await connectToEmbedded(service.databaseDir)
  try {
    step('Loading the sample data: an asset tracker with two organizations')
    await loadSampleSchema(sql)
    await loadSampleRows(sql, { organizations, assetsPerOrganization: 250, seed: 1 })
    for (const [index, organizationId] of organizations.entries()) {
      await writeSampleFiles(service.uploadDir, organizationId, { files: 150, seed: index })
    }
    line(`${owner} and ${neighbour} share its tables; each has an upload folder of its own.`)
  } finally {
    await sql.end({ timeout: 5 })
  }
  await proveRestore({
    baseUrl: service.baseUrl,
    token: await makeToken(jwtSecret, owner),
    uploadDir: service.uploadDir,
    backupDir: service.backupDir,
    owner,
    neighbour,
    connect: () => connectToEmbedded(service.databaseDir)
  })
}

async function keepRunning(service: Service, jwtSecret: string): Promise<void> {
  const token = await makeToken(jwtSecret, owner)
  step('The service keeps running until Ctrl-C')
  line(`URL    ${bold(service.baseUrl)}`)
  line(`Docs   ${service.baseUrl}/docs`)
  line(`Files  ${path.join(service.uploadDir, owner)}`)
  line(`Token  of an OWNER of ${owner}:`)
  console.log(token)
  line('Try:')
  console.log(`curl -H 'Authorization: Bearer ${token}' ${service.baseUrl}/api/backup/list`)
  const outcome = await Promise.race([interrupted, service.ended.then(() => 'ended' as const)])
  if (outcome === 'ended') throw new Error('The service ended unexpectedly.')
  console.log(`\n${outcome}: stopping the service and removing everything`)
}
