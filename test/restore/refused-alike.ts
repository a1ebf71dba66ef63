import { execFileSync } from 'node:child_process'
import { cp, lchown, mkdir, readdir, readFile, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import t from 'tap'
import type { Metadata } from '../../src/archive/metadata.js'
import type { Core } from '../../src/core.js'
import { openSql, withSql } from '../../src/database/connection/connection.js'
import { reserveBytes } from '../../src/io/free-space.js'
import { restoreBackup, type RestoreRequest } from '../../src/restore/restore.js'
import { undoRestore } from '../../src/restore/undo.js'
import { createSmbStorage } from '../../src/storage/smb.js'
import { stagingFolder } from '../../src/storage/staging-folder.js'
import { smallDisk } from '../support/disk.js'
import { forge } from '../support/forge.js'
import { testJob } from '../support/job.js'
import { createLiveSite } from '../support/live-site.js'
import { startCluster, type TestCluster } from '../support/postgres.js'
import { coreOf, createSite, listTree, organizationId, type Site } from '../support/restore-site.js'
import { everyJournal } from '../support/restores.js'

type Mode = 'swap' | 'in-place' | 'merge'

interface Place extends Site {
  mode: Mode
  /**
   * As the superuser in the site's database, one statement after the other; `app` and `bob` are the names of its user
   * and of another role.
   */
  admin: (...statements: string[]) => Promise<void>
  /** The same from beside it. */
  beside: (...statements: string[]) => Promise<void>
  live: string
  cluster: TestCluster
}

/** What is asked for in place of the ordinary restore, and how the state is taken back. */
interface Made {
  core?: Core
  backupId?: string
  organizationId?: string
  undo?: () => Promise<void>
}

interface Case {
  /**
   * Modes that refuse it; in the others it is in the way of nothing, or can't be. What is found out by the same code
   * after a load, which takes long, is here in one mode.
   */
  modes: Partial<Record<Mode, string>>
  /** Null where this machine can't make it. */
  make: (place: Place) => Promise<Made | null>
  reason?: string
  /** A checkpoint would be in the way of nothing, and takes long. */
  withoutCheckpoint?: true
  /** Found out by what is prepared, so that the journal tells of it; else nothing is begun. */
  begun?: readonly Mode[]
}

const root = process.getuid?.() === 0
const all = (code: string): Case['modes'] => ({ swap: code, 'in-place': code, merge: code })
const inside = (code: string): Case['modes'] => ({ 'in-place': code, merge: code })

/** A state that SQL makes and takes back. */
const sql =
  (make: string, undo: string): Case['make'] =>
  async ({ admin }) => {
    await admin(make)
    return {
      undo: async () => {
        await admin(undo)
      }
    }
  }
const besideSql =
  (make: string, undo: string): Case['make'] =>
  async ({ beside }) => {
    await beside(make)
    return {
      undo: async () => {
        await beside(undo)
      }
    }
  }
const metadata =
  (change: (metadata: Metadata) => void): Case['make'] =>
  async place =>
    await forged(place, { metadata: change })
const env =
  (variables: NodeJS.ProcessEnv): Case['make'] =>
  async place => ({ core: coreOf(place, variables) })

async function forged({ core, states }: Place, forgery: Parameters<typeof forge>[2]): Promise<Made> {
  const backup = (await core.catalog.get(organizationId, states.a.backupId))!
  const backupId = await forge(core, backup, { files: true, ...forgery })
  return {
    backupId,
    undo: async () => {
      for (const name of await readdir(join(core.settings.uploadDir, '..', 'backups', organizationId))) {
        if (name.includes(backupId)) await rm(join(core.settings.uploadDir, '..', 'backups', organizationId, name))
      }
      await core.catalog.reconcile()
    }
  }
}

/** The live folder is put aside for something else in its place. */
const inPlaceOfFolder =
  (make: (live: string) => Promise<void>): Case['make'] =>
  async ({ live }) => {
    await rename(live, `${live}-aside`)
    await make(live)
    return {
      undo: async () => {
        await rm(live, { recursive: true, force: true })
        await rename(`${live}-aside`, live)
      }
    }
  }

/** UPLOAD_DIR or BACKUP_DIR with all that is in it on a disk of this size. */
async function onDisk(
  place: Place,
  folder: 'uploadDir' | 'backupDir',
  size: number,
  prepare: (folder: string, disk: { remount(options: string): Promise<void> }) => Promise<void> = async () => {}
): Promise<Made | null> {
  const ends: Array<() => Promise<void>> = []
  const undo = async (): Promise<void> => {
    for (const end of ends.reverse()) await end()
  }
  const disk = await smallDisk({ teardown: end => ends.push(end) }, String(size))
  if (disk === null) {
    await undo()
    return null
  }
  const copy = join(disk.folder, 'copy')
  await cp(place[folder], copy, { recursive: true, preserveTimestamps: true })
  await prepare(copy, disk)
  return { core: coreOf({ ...place, [folder]: copy }), undo }
}

const attempted = (program: string, args: string[]): boolean => {
  try {
    execFileSync(program, args, { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

async function flip(file: string): Promise<void> {
  const bytes = await readFile(file)
  const at = bytes.indexOf('database.sql.gz') + 200
  bytes[at] = bytes[at]! ^ 0xff
  await writeFile(file, bytes)
}

const archiveOf = ({ backupDir, states }: Place): string =>
  join(backupDir, organizationId, `backup-${states.a.backupId}.zip`)

const cases: Record<string, Case> = {
  // Who may do what
  'a user who may not log in': {
    modes: all('DATABASE_UNAVAILABLE'),
    make: besideSql('ALTER ROLE app NOLOGIN', 'ALTER ROLE app LOGIN')
  },
  'a user without connections': {
    modes: all('DATABASE_UNAVAILABLE'),
    make: besideSql('ALTER ROLE app CONNECTION LIMIT 0', 'ALTER ROLE app CONNECTION LIMIT -1')
  },
  'a user who is set read-only': {
    modes: all('PREFLIGHT_FAILED'),
    reason: 'user-read-only',
    make: besideSql(
      'ALTER ROLE app SET default_transaction_read_only = on',
      'ALTER ROLE app RESET default_transaction_read_only'
    )
  },
  'a database that is set read-only': {
    modes: inside('PREFLIGHT_FAILED'),
    reason: 'database-read-only',
    make: sql(
      'ALTER DATABASE app SET default_transaction_read_only = on',
      'SET default_transaction_read_only = off; ALTER DATABASE app RESET default_transaction_read_only'
    )
  },
  'CREATEDB taken away': {
    modes: { swap: 'PREFLIGHT_FAILED', merge: 'PREFLIGHT_FAILED' },
    make: besideSql('ALTER ROLE app NOCREATEDB', 'ALTER ROLE app CREATEDB')
  },
  "a stranger's archive without a role to load it": {
    modes: all('PREFLIGHT_FAILED'),
    reason: 'not-signed-here',
    make: async place => {
      const createrole = place.mode === 'in-place' ? 'NOCREATEROLE' : 'CREATEROLE'
      await place.beside('ALTER ROLE app NOCREATEROLE')
      return {
        core: coreOf(place, { JWT_SECRET: 'y'.repeat(32), ACCEPT_UNSIGNED_ARCHIVES: 'true' }),
        undo: async () => {
          await place.beside(`ALTER ROLE app ${createrole}`)
        }
      }
    }
  },
  'a database that another role owns now': {
    modes: all('PREFLIGHT_FAILED'),
    make: besideSql('ALTER DATABASE app OWNER TO bob', 'ALTER DATABASE app OWNER TO app')
  },
  // What hangs on the database
  'a database that lets no one in': {
    modes: inside('DATABASE_UNAVAILABLE'),
    make: besideSql('ALTER DATABASE app ALLOW_CONNECTIONS false', 'ALTER DATABASE app ALLOW_CONNECTIONS true')
  },
  'a database without connections': {
    modes: inside('DATABASE_UNAVAILABLE'),
    make: besideSql('ALTER DATABASE app CONNECTION LIMIT 0', 'ALTER DATABASE app CONNECTION LIMIT -1')
  },
  'a database that is gone': {
    modes: { swap: 'CHECKPOINT_IMPOSSIBLE', 'in-place': 'PREFLIGHT_FAILED', merge: 'CHECKPOINT_IMPOSSIBLE' },
    reason: 'no-live-database',
    make: besideSql('ALTER DATABASE app RENAME TO app_away', 'ALTER DATABASE app_away RENAME TO app')
  },
  'a prepared transaction': {
    modes: { swap: 'PREFLIGHT_FAILED', 'in-place': 'PREFLIGHT_FAILED' },
    reason: 'prepared-transaction',
    make: sql("BEGIN; CREATE TABLE half_way (); PREPARE TRANSACTION 'payroll'", "ROLLBACK PREPARED 'payroll'")
  },
  'a subscription': {
    modes: { swap: 'PREFLIGHT_FAILED' },
    reason: 'subscription',
    make: async ({ admin }) => {
      await admin(
        "CREATE SUBSCRIPTION office CONNECTION 'host=127.0.0.1' PUBLICATION everything WITH (connect = false, slot_name = NONE)"
      )
      return {
        undo: async () => {
          await admin('DROP SUBSCRIPTION office')
        }
      }
    }
  },
  "a superuser's session": {
    modes: { swap: 'DATABASE_BUSY' },
    begun: ['swap'],
    make: async ({ connection, cluster: { connection: superuser } }) => {
      const session = openSql({ ...superuser, database: connection.database }, { applicationName: 'of a superuser' })
      await session`SELECT`
      return {
        undo: async () => {
          await session.end()
        }
      }
    }
  },
  // What is in the database
  'other organizations that have come': {
    modes: { 'in-place': 'OTHER_ORGANIZATIONS_AFFECTED' },
    make: env({ DATABASE_SCOPE: 'auto' })
  },
  'other organizations, where there were none': {
    modes: { swap: 'OTHER_ORGANIZATIONS_AFFECTED' },
    make: async place => {
      await place.admin(
        "SET ROLE app; CREATE TABLE organizations (id text PRIMARY KEY); INSERT INTO organizations VALUES ('acme'), ('globex')"
      )
      return {
        core: coreOf(place, { DATABASE_SCOPE: 'auto' }),
        undo: async () => {
          await place.admin('DROP TABLE organizations')
        }
      }
    }
  },
  'no table of organizations': { modes: { swap: 'TENANCY_UNSUPPORTED' }, make: env({ DATABASE_SCOPE: 'auto' }) },
  'a table of another role': {
    modes: inside('PREFLIGHT_FAILED'),
    withoutCheckpoint: true,
    begun: ['merge'],
    make: sql('ALTER TABLE notes OWNER TO bob; GRANT SELECT ON notes TO app', 'ALTER TABLE notes OWNER TO app')
  },
  'a view of another role upon a table': {
    modes: { 'in-place': 'RESTORE_CONFLICT' },
    make: sql('CREATE VIEW theirs AS SELECT * FROM items', 'DROP VIEW theirs')
  },
  "a schema of the service's own name": {
    modes: inside('PREFLIGHT_FAILED'),
    reason: 'own-schema-of-another-role',
    make: sql('CREATE SCHEMA dumbassets_backup', 'DROP SCHEMA dumbassets_backup')
  },
  'a column that is gone': {
    modes: { merge: 'SCHEMA_DRIFT' },
    withoutCheckpoint: true,
    begun: ['merge'],
    make: sql('ALTER TABLE notes RENAME text TO words', 'ALTER TABLE notes RENAME words TO text')
  },
  "rows whose checkpoint can't be loaded": {
    modes: { 'in-place': 'CHECKPOINT_IMPOSSIBLE' },
    begun: ['in-place'],
    make: sql(
      `SET ROLE app; CREATE FUNCTION org_exists(o text) RETURNS bool LANGUAGE sql STABLE AS 'SELECT EXISTS (SELECT FROM organizations WHERE id = o)';
      ALTER TABLE items ADD CONSTRAINT org_is_there CHECK (org_exists(org))`,
      'ALTER TABLE items DROP CONSTRAINT org_is_there; DROP FUNCTION org_exists'
    )
  },
  // The archive
  "an extension and a role that are missing, and a newer PostgreSQL's dump": {
    modes: all('PREFLIGHT_FAILED'),
    reason: 'server-older-than-backup',
    make: metadata(found => {
      found.extensions.push({ name: 'no_such_extension', version: '1' })
      found.roles.push('auditor')
      found.postgresVersion = '99.3'
    })
  },
  'a dump that fails': {
    modes: all('DUMP_INVALID'),
    withoutCheckpoint: true,
    begun: ['swap', 'in-place', 'merge'],
    make: async place => await forged(place, { sql: text => `${text}\nSELECT 1 / 0;\n` })
  },
  'a flipped byte in the dump': {
    // Which of the two finds it first, the gzip stream's end or psql, is the byte's to say.
    modes: { swap: 'ANY' },
    begun: ['swap'],
    make: async place => {
      await flip(archiveOf(place))
      return {
        undo: async () => {
          await flip(archiveOf(place))
        }
      }
    }
  },
  'an archive that is gone': {
    modes: all('ARCHIVE_MISSING'),
    make: async place => {
      await rename(archiveOf(place), `${archiveOf(place)}-aside`)
      return {
        undo: async () => {
          await rename(`${archiveOf(place)}-aside`, archiveOf(place))
        }
      }
    }
  },
  'an archive of another key': { modes: all('ARCHIVE_UNTRUSTED'), make: env({ JWT_SECRET: 'y'.repeat(32) }) },
  "another organization's backup": { modes: all('BACKUP_NOT_FOUND'), make: async () => ({ organizationId: 'globex' }) },
  "another backup's archive": {
    modes: all('ANY'),
    make: async place => {
      const [mine, other] = [archiveOf(place), archiveOf({ ...place, states: { ...place.states, a: place.states.b } })]
      await cp(mine, `${mine}-aside`, { preserveTimestamps: true })
      await cp(other, mine)
      return {
        undo: async () => {
          await rename(`${mine}-aside`, mine)
        }
      }
    }
  },
  // Files and folders
  'an upload folder that is a file': {
    modes: all('PREFLIGHT_FAILED'),
    reason: 'upload-folder-not-a-folder',
    make: inPlaceOfFolder(async live => {
      await writeFile(live, '')
    })
  },
  'an upload folder that is a link': {
    modes: all('PREFLIGHT_FAILED'),
    reason: 'upload-folder-not-a-folder',
    make: inPlaceOfFolder(async live => {
      await symlink(`${live}-aside`, live)
    })
  },
  'a mount in the upload folder': {
    modes: all('PREFLIGHT_FAILED'),
    reason: 'mount-inside',
    make: async ({ live }) => {
      if (!root || !attempted('mount', ['-t', 'tmpfs', 'tmpfs', join(live, 'empty')])) return null
      return {
        undo: async () => {
          execFileSync('umount', [join(live, 'empty')])
        }
      }
    }
  },
  "an upload folder that can't be moved": {
    modes: { swap: 'STORAGE_UNAVAILABLE' },
    reason: 'folder-not-movable',
    begun: ['swap'],
    make: async ({ live }) => {
      if (!root || !attempted('chattr', ['+i', live])) return null
      return {
        undo: async () => {
          execFileSync('chattr', ['-i', live])
        }
      }
    }
  },
  'a file in the way of the staging': {
    modes: all('PREFLIGHT_FAILED'),
    reason: 'staging-folder-not-a-folder',
    make: async ({ uploadDir }) => {
      await rm(join(uploadDir, stagingFolder), { recursive: true, force: true })
      await writeFile(join(uploadDir, stagingFolder), '')
      return {
        undo: async () => {
          await rm(join(uploadDir, stagingFolder))
          await mkdir(join(uploadDir, stagingFolder))
        }
      }
    }
  },
  'UPLOAD_DIR that is gone': {
    modes: all('STORAGE_UNAVAILABLE'),
    make: async ({ uploadDir }) => {
      await rename(uploadDir, `${uploadDir}-aside`)
      return {
        undo: async () => {
          await rename(`${uploadDir}-aside`, uploadDir)
        }
      }
    }
  },
  'uploads on an SMB share': {
    modes: all('BACKUP_INCOMPATIBLE'),
    make: async place => ({
      core: {
        ...place.core,
        storage: createSmbStorage({ host: 'nas', share: 'uploads', username: null, domain: null })
      }
    })
  },
  'a disk too small for the files': {
    modes: all('DISK_FULL'),
    reason: 'disk-full',
    make: async place => await onDisk(place, 'uploadDir', reserveBytes)
  },
  'a disk too small for a checkpoint': {
    modes: inside('DISK_FULL'),
    reason: 'disk-full',
    make: async place => await onDisk(place, 'backupDir', reserveBytes)
  },
  'BACKUP_DIR that is read-only': {
    modes: all('REPOSITORY_UNAVAILABLE'),
    make: async place =>
      await onDisk(place, 'backupDir', reserveBytes * 2, async (_, disk) => {
        await disk.remount('ro')
      })
  },
  'a disk too small for an undo by the checkpoint': {
    modes: { merge: 'CHECKPOINT_IMPOSSIBLE' },
    reason: 'disk-full',
    begun: ['merge'],
    // A hole, which an archive has as zeros: no room for it once more.
    make: async place =>
      await onDisk(place, 'uploadDir', reserveBytes + 2 ** 20, async folder => {
        await writeFile(join(folder, organizationId, 'hole'), '')
        await truncate(join(folder, organizationId, 'hole'), 2 ** 22)
      })
  },
  "a live file that can't be read": {
    modes: { 'in-place': 'CHECKPOINT_IMPOSSIBLE' },
    reason: 'file-eacces',
    begun: ['in-place'],
    make: unreadable
  }
}

/** As an ordinary user, whom a file of root's keeps out. */
async function unreadable(place: Place): Promise<Made | null> {
  if (!root) return null
  const user = 65534
  const folder = dirname(place.uploadDir)
  const give = async (uid: number): Promise<void> => {
    await lchown(folder, uid, uid)
    for (const name of await readdir(folder, { recursive: true })) await lchown(join(folder, name), uid, uid)
  }
  const file = join(place.live, 'photos', 'one')
  await give(user)
  await lchown(file, 0, 0)
  execFileSync('chmod', ['600', file])
  process.setegid!(user)
  process.seteuid!(user)
  return {
    undo: async () => {
      process.seteuid!(0)
      process.setegid!(0)
      execFileSync('chmod', ['640', file])
      await give(0)
    }
  }
}

interface Answer {
  code: string
  reason: string
  message: string
  remedy: string | undefined
  errors: unknown
}

/** Numbers and names that are made anew each time are not compared. */
const plain = (text: string | undefined): string =>
  (text ?? '').replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}|(?<=_)[0-9a-f]{32}|\b\d+\b/g, '#')

async function attempt(
  place: Place,
  made: Made,
  { dryRun, rollbackOnFailure }: { dryRun: boolean; rollbackOnFailure: boolean }
): Promise<Answer | null> {
  const request: RestoreRequest = {
    organizationId,
    backupId: place.states.a.backupId,
    validateChecksum: false,
    rollbackOnFailure,
    dryRun,
    startedBy: 't',
    ...(made.backupId === undefined ? {} : { backupId: made.backupId }),
    ...(made.organizationId === undefined ? {} : { organizationId: made.organizationId })
  }
  try {
    await restoreBackup(made.core ?? place.core, request, testJob({ core: made.core ?? place.core }))
    return null
  } catch (error) {
    const {
      code,
      reason,
      message,
      remedy,
      errors = []
    } = error as { code: string; reason: string; message: string; remedy?: string; errors?: Array<{ message: string }> }
    return {
      code: String(code),
      reason,
      message: plain(message),
      remedy: plain(remedy),
      errors: errors.map(found => ({ ...found, message: plain(found.message) }))
    }
  }
}

/** Everything that a restore could have changed and that can be looked at in this state. */
async function look(place: Place): Promise<unknown> {
  const hidden = (error: unknown): string => `not to be seen: ${String((error as { code?: unknown }).code)}`
  return {
    state: await place.look().catch(hidden),
    files: await listTree(place.live).catch(hidden),
    uploads: await readdir(place.uploadDir).catch(hidden),
    backups: (await readdir(join(place.backupDir, organizationId))).filter(name => name !== 'restores'),
    databases: await withSql(place.cluster.connection, {}, async sql => [
      ...(await sql`SELECT datname, datallowconn, datconnlimit FROM pg_database ORDER BY 1`),
      ...(await sql`SELECT rolname FROM pg_roles ORDER BY 1`)
    ])
  }
}

async function journals(core: Core): Promise<string[][]> {
  return (await everyJournal(core, organizationId)).map(lines => lines.map(({ step }) => step))
}

async function open(mode: Mode, cluster: TestCluster): Promise<Place> {
  const site =
    mode === 'swap'
      ? await createSite(t, { cluster: cluster.files })
      : await createLiveSite(t, mode, { cluster: cluster.files })
  const names: Record<string, string> = { app: site.user, app_away: `${site.user}_away`, bob: `${site.user}_bob` }
  const run = async (database: string, statements: string[]): Promise<void> => {
    await withSql({ ...cluster.connection, database }, {}, async sql => {
      for (const statement of statements)
        await sql.unsafe(statement.replaceAll(/\b(?:app|app_away|bob)\b/g, name => names[name]!))
    })
  }
  const place: Place = {
    ...site,
    mode,
    cluster,
    live: join(site.uploadDir, organizationId),
    admin: async (...statements) => {
      await run(site.connection.database, statements)
    },
    beside: async (...statements) => {
      await run('postgres', statements)
    }
  }
  await place.beside('CREATE ROLE bob')
  await mkdir(join(place.uploadDir, stagingFolder))
  return place
}

let cluster: TestCluster

t.before(async () => {
  cluster = await startCluster(t, { settings: { wal_level: 'logical', max_prepared_transactions: '5' } })
})

for (const mode of ['swap', 'in-place', 'merge'] as const) {
  t.test(`a dry run is refused as the restore is: ${mode}`, async t => {
    const place = await open(mode, cluster)
    let count = 0
    for (const [name, { modes, make, reason, withoutCheckpoint, begun = [] }] of Object.entries(cases)) {
      const code = modes[mode]
      if (code === undefined) continue
      const made = await make(place)
      if (made === null) {
        t.comment(`${name}: can't be made on this machine`)
        continue
      }
      const core = made.core ?? place.core
      const isBegun = begun.includes(mode)
      const answers: Array<Answer | null> = []
      try {
        const before = await look(place)
        for (const dryRun of [true, false]) {
          const known = (await journals(core)).length
          answers.push(await attempt(place, made, { dryRun, rollbackOnFailure: withoutCheckpoint !== true }))
          if (isBegun || !dryRun)
            t.same(
              await look(place),
              before,
              `${name}: nothing has changed after ${dryRun ? 'the dry run' : 'the restore'}`
            )
          const steps = (await journals(core)).slice(known)
          t.equal(steps.length, isBegun ? 1 : 0, `${name}: ${isBegun ? 'a journal tells' : 'not even a journal'}`)
          for (const taken of steps) t.ok(taken.includes('rolled-back'), `${name}: and all of it was taken back`)
        }
      } finally {
        await made.undo?.()
      }
      const [rehearsed, restored] = answers
      t.ok(rehearsed !== null && restored !== null, `${name}: both are refused`)
      t.same(rehearsed, restored, `${name}: with the same words`)
      if (code !== 'ANY') t.equal(restored?.code, code, name)
      if (reason !== undefined) t.equal(restored?.reason, reason, name)
      if (isBegun) t.same(await place.leftovers(), [], `${name}: nothing is left`)
      count += 1
    }
    t.equal(await place.look(), 'bb')
    t.same(await place.leftovers(), [], 'nothing is left')
    t.comment(`${mode}: ${count} live states, each refused alike by a dry run and by a restore`)
  })
}

t.test('a dry run is refused for no more than the restore is', async t => {
  const place = await open('swap', cluster)
  await place.beside('ALTER DATABASE app ALLOW_CONNECTIONS false')
  const made = await unreadable(place)
  if (made === null) t.comment("only root can make a file that can't be read")
  try {
    const request = {
      organizationId,
      backupId: place.states.a.backupId,
      validateChecksum: false,
      rollbackOnFailure: true,
      startedBy: 't'
    }
    const { report } = await restoreBackup(place.core, { ...request, dryRun: true }, testJob({ core: place.core }))
    t.match(report.database, { mode: 'swap', tables: [{ table: 'public.items', rows: 200 }, {}, {}] })
    t.match(report.warnings.join('\n'), /What would change in the live database can't be told/)
    if (made !== null) t.match(report.warnings.join('\n'), /"photos\/one" that is there now is counted as changed/)
    const { restoreId } = await restoreBackup(place.core, { ...request, dryRun: false }, testJob({ core: place.core }))
    await undoRestore(place.core, { organizationId, restoreId, startedBy: 't' }, testJob({ core: place.core }))
  } finally {
    await made?.undo?.()
    await place.beside('ALTER DATABASE app ALLOW_CONNECTIONS true')
  }
  t.equal(await place.look(), 'bb')
})
