import { rm } from 'node:fs/promises'
import { makeDatabase, makeFiles, organizationId, type Sizes } from './data.js'
import { measure, median, processBytes, treeBytes, type Measured } from './measure.js'
import { readOptions } from './options.js'
import { installedPeers } from './peers.js'
import { inMegabytes, inSeconds, print } from './print.js'
import { folderBytes } from './shell.js'
import { onStage, type Stage } from './stage.js'

const help = `
Times a full backup through the real HTTP service against what people do without it, in turn.

  npm run bench                          done in three minutes
  npm run bench -- --database-mb 584 --large-mb 1000 --small-files 20000
`
interface Row extends Measured {
  name: string
  bytes: number
}
type Contender = () => Promise<Row>

const { numbers, peers, json } = readOptions(help, {
  'database-mb': 60,
  'large-mb': 100,
  'small-files': 2000,
  rounds: 3
})
const { rounds } = numbers
const sizes: Sizes = {
  databaseMb: numbers['database-mb'],
  largeMb: numbers['large-mb'],
  smallFiles: numbers['small-files']
}

await onStage({ organizationId }, async stage => {
  console.error('Making the data …')
  await stage.withSql(async sql => {
    await makeDatabase(sql, sizes)
  })
  await makeFiles(stage.folder, sizes)
  const contenders = [ours(stage), ...(peers ? await theirs(stage) : [])]
  const rows: Row[] = []
  for (let round = 1; round <= rounds; round += 1) {
    console.error(`Round ${round} of ${rounds} …`)
    for (const contender of contenders) rows.push(await contender())
  }
  printRows(rows)
})

function ours({ service, create, archiveOf }: Stage): Contender {
  return async () => {
    let made: Awaited<ReturnType<typeof create>> | undefined
    // The embedded PostgreSQL is the service's child, and not what is measured.
    const measured = await measure(
      async () => {
        made = await create('full')
      },
      async () => await processBytes(service.pid)
    )
    await rm(archiveOf(made!.id))
    return { name: 'dumbassets-backup', bytes: made!.size, ...measured }
  }
}

async function theirs(stage: Stage): Promise<Contender[]> {
  return (await installedPeers()).map(peer => async () => {
    const target = await stage.scratchFolder()
    let pid: number | undefined
    const measured = await measure(
      async () => {
        await peer.run(stage, target, started => {
          pid = started
        })
      },
      async () => (pid === undefined ? 0 : await treeBytes(pid))
    )
    const bytes = await folderBytes(target)
    await rm(target, { recursive: true })
    return { name: peer.name, bytes, ...measured }
  })
}

function printRows(rows: Row[]): void {
  const results = [...new Set(rows.map(({ name }) => name))].map(name => {
    const own = rows.filter(row => row.name === name)
    return {
      name,
      wallMs: median(own.map(({ wallMs }) => wallMs)),
      cpuSeconds: own[0]!.cpuSeconds === null ? null : median(own.map(({ cpuSeconds }) => cpuSeconds!)),
      peakBytes: own[0]!.peakBytes === null ? null : Math.max(...own.map(({ peakBytes }) => peakBytes!)),
      outputBytes: median(own.map(({ bytes }) => bytes))
    }
  })
  const compared = results.map(result => ({ ...result, ourWallRatio: results[0]!.wallMs / result.wallMs }))
  print(
    {
      title: `Full backup: ${sizes.databaseMb} MB of SQL, ${sizes.largeMb} MB of photos, ${sizes.smallFiles} small files; medians of ${rounds} rounds in turn.`,
      data: { sizes, rounds, results: compared },
      tables: [
        {
          rows: compared.map(({ name, wallMs, cpuSeconds, peakBytes, outputBytes, ourWallRatio }) => [
            name,
            {
              'wall s': inSeconds(wallMs),
              'CPU s': cpuSeconds?.toFixed(1) ?? '–',
              'peak MB': peakBytes === null ? '–' : inMegabytes(peakBytes),
              'output MB': inMegabytes(outputBytes),
              'our time / theirs': ourWallRatio.toFixed(2)
            }
          ])
        }
      ]
    },
    { json }
  )
}
