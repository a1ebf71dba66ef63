import path from 'node:path'
import type { Sql } from 'postgres'
import { addFiles, changeRows, makeDatabase, makeFiles, organizationId, type Spread } from './data.js'
import { readOptions } from './options.js'
import { inMegabytes, inPercent, print } from './print.js'
import { extractDump } from './psql.js'
import { areInstalled, folderBytes, shell } from './shell.js'
import { onStage, type Stage } from './stage.js'
import { resticEnvironment } from './peers.js'

const help = `
What the archive of each day adds to a restic repository that holds the day before: after a day's work on the newest rows,
and after changes all over the table; against pg_dump | gzip. Needs restic.

  npm run bench:dedupe
  npm run bench:dedupe -- --database-mb 584 --large-mb 1000 --small-files 20000

A member of the compressed dump is about 1 MB, and so is what restic keeps as one piece: with a small database one changed
place is a large share.
`
const { numbers, json } = readOptions(help, {
  'database-mb': 60,
  'large-mb': 50,
  'small-files': 1000,
  'rows-percent': 2,
  'files-percent': 1
})
const sizes = { databaseMb: numbers['database-mb'], largeMb: numbers['large-mb'], smallFiles: numbers['small-files'] }

interface Kind {
  name: string
  make(stage: Stage): Promise<string>
}
/** Bytes of what a day's backup is, and of what the repository grew by. */
interface Added {
  kind: string
  day: string
  bytes: number
  addedBytes: number
}

const kinds: Kind[] = [
  { name: 'pg_dump | gzip', make: dumpAndGzip },
  {
    name: 'our database.sql.gz',
    make: async stage => await extractDump(stage, stage.archiveOf((await stage.create('database')).id))
  },
  { name: 'our full archive', make: async stage => stage.archiveOf((await stage.create('full')).id) }
]

const added: Added[] = []
if (!(await areInstalled('restic', 'unzip', 'gzip'))) throw new Error('This needs restic, unzip and gzip.')
await onStage({ organizationId }, async stage => {
  console.error('Making the data …')
  await stage.withSql(async (sql: Sql) => {
    await makeDatabase(sql, sizes)
  })
  await makeFiles(stage.folder, sizes)
  const repositories = new Map<string, string>()
  for (const { name } of kinds) repositories.set(name, await initRepository(stage))
  const addDay = async (day: string): Promise<void> => {
    console.error(`Backing up, ${day} …`)
    for (const kind of kinds)
      added.push({
        kind: kind.name,
        day,
        ...(await backUp(stage, repositories.get(kind.name)!, await kind.make(stage)))
      })
  }
  await addDay('the first day')
  await addDay('nothing changed')
  for (const [index, spread] of (['newest', 'anywhere'] satisfies Spread[]).entries()) {
    await stage.withSql(async (sql: Sql) => {
      await changeRows(sql, { percent: numbers['rows-percent'], spread })
    })
    const files = Math.round((sizes.smallFiles * numbers['files-percent']) / 100)
    await addFiles(stage.folder, { first: sizes.smallFiles + index * files, count: files })
    await addDay(
      `${numbers['rows-percent']} % of the rows changed, ${spread === 'newest' ? 'the newest' : 'anywhere'}; ${files} new files`
    )
  }
})
print(
  {
    title: `${sizes.databaseMb} MB of SQL, ${sizes.largeMb} MB of photos, ${sizes.smallFiles} small files: growth of a restic repository.`,
    data: { sizes, added },
    tables: [...new Set(added.map(({ day }) => day))].map(day => ({
      caption: `${day}:`,
      rows: added
        .filter(entry => entry.day === day)
        .map(({ kind, bytes, addedBytes }) => [
          kind,
          {
            'size MB': inMegabytes(bytes),
            'added MB': inMegabytes(addedBytes),
            'added / size': inPercent(addedBytes / bytes)
          }
        ])
    }))
  },
  { json }
)

async function dumpAndGzip({ environment, scratchFolder }: Stage): Promise<string> {
  const dump = path.join(await scratchFolder(), 'database.sql.gz')
  await shell('"$PG_DUMP" --no-owner | gzip > "$DUMP"', { ...environment, DUMP: dump })
  return dump
}

async function initRepository({ scratchFolder }: Stage): Promise<string> {
  const folder = await scratchFolder()
  await shell('restic init -q', resticEnvironment(folder))
  return folder
}

async function backUp(stage: Stage, repository: string, file: string): Promise<{ bytes: number; addedBytes: number }> {
  const target = await stage.scratchFolder()
  // Under one name each day, as a scheduled copy has it.
  const backup = path.join(target, 'backup')
  const before = await folderBytes(path.join(repository, 'restic'))
  await shell('cp "$BACKUP_FILE" "$BACKUP" && restic backup -q "$BACKUP"', {
    ...resticEnvironment(repository),
    BACKUP_FILE: file,
    BACKUP: backup
  })
  return { bytes: await folderBytes(target), addedBytes: (await folderBytes(path.join(repository, 'restic'))) - before }
}
