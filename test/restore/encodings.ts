import t from 'tap'
import { createBackup } from '../../src/backup/create.js'
import { withSql } from '../../src/database/connection/connection.js'
import { restoreBackup } from '../../src/restore/restore.js'
import { undoRestore } from '../../src/restore/undo.js'
import { testJob } from '../support/job.js'
import { createTestDatabase } from '../support/postgres.js'
import { coreOf, createFolders, leftovers, organizationId } from '../support/restore-site.js'

/** Every byte above 127 that the encoding knows, and in SQL_ASCII any: as bytes, since most are no UTF-8. */
const characters = { LATIN1: [0xa0, 0xff], WIN1252: [0x82, 0x8c], SQL_ASCII: [0x80, 0xff] } as const
const tried = { LATIN1: ['swap', 'merge'], WIN1252: ['in-place'], SQL_ASCII: ['merge', 'swap'] } as const

for (const encoding of ['LATIN1', 'WIN1252', 'SQL_ASCII'] as const) {
  const [first, last] = characters[encoding]
  for (const mode of tried[encoding]) {
    const [others, createdb] = [mode === 'merge', mode !== 'in-place']
    t.test(`a database in ${encoding} is backed up, restored (${mode}) and as it was after the undo`, async t => {
      const { url, sql, user, connection } = await createTestDatabase(t, { encoding, createdb, createrole: createdb })
      const bytes = Array.from({ length: last - first + 1 }, (_, index) => (first + index).toString(16)).join('')
      const text = `convert_from('\\x${bytes}', '${encoding}')`
      await sql.unsafe(`CREATE TABLE organizations (id text PRIMARY KEY, name text);
        INSERT INTO organizations VALUES ('acme', 'Acme')${others ? ", ('globex', 'Globex')" : ''};
        CREATE TABLE items (id int PRIMARY KEY, org text NOT NULL REFERENCES organizations, name text, "unique" text UNIQUE);
        INSERT INTO items SELECT n, 'acme', ${text} || n, n || repeat(${text}, 3) FROM generate_series(1, 5) n;
        CREATE TABLE notes (item int NOT NULL REFERENCES items, t text);
        INSERT INTO notes SELECT id, name FROM items`)
      const read = async (): Promise<string> =>
        await withSql(
          connection,
          {},
          async own =>
            (
              await own.unsafe<Array<{ digest: string }>>(
                "SELECT md5(string_agg(i::text, ',' ORDER BY id)) || (SELECT md5(string_agg(n::text, ',' ORDER BY n::text COLLATE \"C\")) FROM notes n) AS digest FROM items i"
              )
            )[0]!.digest
        )
      const core = coreOf({ ...(await createFolders(t, url)), scope: others ? 'organization' : 'instance' })
      const before = await read()
      const { id } = await createBackup(
        core,
        { organizationId, type: 'database', createdBy: 't', createdByEmail: null },
        testJob()
      )
      await sql.unsafe(
        `DELETE FROM notes WHERE item = 1; DELETE FROM items WHERE id = 1; UPDATE items SET name = 'changed' WHERE id = 2; INSERT INTO notes VALUES (3, ${text})`
      )
      const changed = await read()
      await sql.end()
      const request = {
        organizationId,
        backupId: id,
        validateChecksum: true,
        rollbackOnFailure: true,
        dryRun: true,
        startedBy: 't'
      }
      const { report } = await restoreBackup(core, request, testJob({ core }))
      t.equal(report.database?.mode, mode)
      const { restoreId } = await restoreBackup(core, { ...request, dryRun: false }, testJob({ core }))
      t.equal(await read(), before, 'restored')
      await undoRestore(core, { organizationId, restoreId, startedBy: 't' }, testJob({ core }))
      t.equal(await read(), changed, 'undone')
      const [live] = await withSql(
        connection,
        {},
        async own => await own<[{ encoding: string }]>`SELECT current_setting('server_encoding') AS encoding`
      )
      t.equal(live.encoding, encoding)
      t.same(await leftovers(core, user), [])
    })
  }
}

t.test('rows are named in messages, also long ones', async t => {
  const { url, sql } = await createTestDatabase(t, { encoding: 'LATIN1' })
  await sql.unsafe(`CREATE TABLE organizations (id text PRIMARY KEY); INSERT INTO organizations VALUES ('acme'), ('globex');
    CREATE TABLE items (id int PRIMARY KEY, org text NOT NULL REFERENCES organizations, name text UNIQUE);
    INSERT INTO items VALUES (1, 'acme', repeat('é', 100))`)
  const core = coreOf({ ...(await createFolders(t, url)), scope: 'organization' })
  const { id } = await createBackup(
    core,
    { organizationId, type: 'database', createdBy: 't', createdByEmail: null },
    testJob()
  )
  await sql.unsafe("UPDATE items SET org = 'globex', id = 2")
  const request = {
    organizationId,
    backupId: id,
    validateChecksum: true,
    rollbackOnFailure: true,
    dryRun: true,
    startedBy: 't'
  }
  await t.rejects(restoreBackup(core, request, testJob({ core })), {
    code: 'RESTORE_CONFLICT',
    errors: [{ message: /é\.\.\./ }]
  })
})
