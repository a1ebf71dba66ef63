import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { connectToEmbedded, makeToken } from '../scripts/demo/access.js'
import { startService } from '../scripts/demo/service.js'
import { readCredentials } from '../src/database/cluster-credentials.js'
import { findPostgresTools } from '../src/database/postgres-tools.js'
import { createClient } from '../openapi/client.js'
import { makeDatabase, makeFiles, type Sizes } from './data.js'
import { machine, measure, median, processBytes, treeBytes, type Measured } from './measure.js'
import { installedPeers, type Scene } from './peers.js'

const help = `Times a full backup through the real HTTP service against what people do without it, in turn.

  npm run bench                          small: 60 MB of SQL, 100 MB of photos, 2,000 small files, three rounds
  npm run bench -- --database-mb 584 --large-mb 1000 --small-files 20000
  --rounds N  --no-peers  --json  --help
`
const organizationId = 'bench'

interface Row extends Measured { name: string, bytes: number }

const { values: options } = parseArgs({
  options: {
    'database-mb': { type: 'string', default: '60' },
    'large-mb': { type: 'string', default: '100' },
    'small-files': { type: 'string', default: '2000' },
    rounds: { type: 'string', default: '3' },
    'no-peers': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h' }
  }
})
if (options.help === true) console.log(help)
else await main()

async function main (): Promise<void> {
  const sizes: Sizes = { databaseMb: Number(options['database-mb']), largeMb: Number(options['large-mb']), smallFiles: Number(options['small-files']) }
  const rounds = Number(options.rounds)
  const jwtSecret = randomBytes(32).toString('hex')
  const service = await startService({ jwtSecret, environment: { LOG_LEVEL: 'warn' } })
  const scratch = await mkdtemp(path.join(tmpdir(), 'dumbassets-backup-bench-'))
  try {
    console.error('Making the data …')
    const sql = await connectToEmbedded(service.databaseDir)
    await makeDatabase(sql, sizes)
    await sql.end()
    const folder = path.join(service.uploadDir, organizationId)
    await makeFiles(folder, sizes)
    const { host, port, user, password, database } = (await readCredentials(service.databaseDir))!
    const tools = await findPostgresTools({ serverMajor: 0 })
    const scene: Scene = { connection: { host, port, user, password, database, parameters: {} }, folder, pgDump: tools.pgDump }
    const client = createClient(service.baseUrl, await makeToken(jwtSecret, organizationId))

    const ours = async (): Promise<Row> => {
      let bytes = 0
      const measured = await measure(async () => {
        const { data, error } = await client.POST('/api/backup/create', { body: { type: 'full' } })
        if (data === undefined || !('size' in data)) throw new Error(JSON.stringify(error) + await service.logTail())
        bytes = data.size
      // The embedded PostgreSQL is its child, and not what is measured.
      }, async () => await processBytes(service.pid))
      await rm(path.join(service.backupDir, organizationId), { recursive: true, force: true })
      return { name: 'dumbassets-backup', bytes, ...measured }
    }
    const contenders = [ours, ...(options['no-peers'] ? [] : await installedPeers()).map(peer => async (): Promise<Row> => {
      const target = path.join(scratch, randomBytes(4).toString('hex'))
      await mkdir(target)
      let pid: number | undefined
      const measured = await measure(async () => { await peer.run(scene, target, started => { pid = started }) }, async () => pid === undefined ? 0 : await treeBytes(pid))
      const bytes = await folderBytes(target)
      await rm(target, { recursive: true })
      return { name: peer.name, bytes, ...measured }
    })]

    const rows: Row[] = []
    for (let round = 1; round <= rounds; round += 1) {
      console.error(`Round ${round} of ${rounds} …`)
      for (const contender of contenders) rows.push(await contender())
    }
    print(sizes, rounds, rows)
  } finally {
    await service.remove()
    await rm(scratch, { recursive: true, force: true })
  }
}

function print (sizes: Sizes, rounds: number, rows: Row[]): void {
  const names = [...new Set(rows.map(({ name }) => name))]
  const results = names.map(name => {
    const own = rows.filter(row => row.name === name)
    return {
      name,
      wallSeconds: median(own.map(({ wallMs }) => wallMs)) / 1000,
      cpuSeconds: own[0]!.cpuSeconds === null ? null : median(own.map(({ cpuSeconds }) => cpuSeconds!)),
      peakMb: own[0]!.peakBytes === null ? null : Math.max(...own.map(({ peakBytes }) => peakBytes!)) / 1e6,
      outputMb: median(own.map(({ bytes }) => bytes)) / 1e6
    }
  })
  const first = results[0]!
  const compared = results.map(result => ({ ...result, ourWallRatio: first.wallSeconds / result.wallSeconds }))
  if (options.json) {
    console.log(JSON.stringify({ machine, sizes, rounds, results: compared }, null, 2))
    return
  }
  console.log(`Full backup: ${sizes.databaseMb} MB of SQL, ${sizes.largeMb} MB of photos, ${sizes.smallFiles} small files; medians of ${rounds} rounds in turn; ${machine}.`)
  console.table(Object.fromEntries(compared.map(({ name, wallSeconds, cpuSeconds, peakMb, outputMb, ourWallRatio }) => [name, {
    'wall s': wallSeconds.toFixed(2), 'CPU s': cpuSeconds?.toFixed(1) ?? '–', 'peak MB': peakMb?.toFixed(0) ?? '–', 'output MB': outputMb.toFixed(1), 'our time / theirs': ourWallRatio.toFixed(2)
  }])))
}

async function folderBytes (folder: string): Promise<number> {
  let bytes = 0
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += (await stat(path.join(entry.parentPath, entry.name))).size
  }
  return bytes
}
