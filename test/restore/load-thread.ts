import { randomBytes } from 'node:crypto'
import t from 'tap'
import { openArchive } from '../../src/archive/reader.js'
import { withSql } from '../../src/database/connection/connection.js'
import { createScratch, dropScratch } from '../../src/database/load/scratch.js'
import { withLoadThread } from '../../src/restore/load-thread.js'
import { archiveBytes, fileWith, organizationId } from '../support/archive.js'
import { tools } from '../support/organization.js'
import { createTestDatabase } from '../support/postgres.js'

const locale = { encoding: 'UTF8', collate: 'C', ctype: 'C', localeProvider: 'c', icuLocale: null }
/** Fails in the transaction that has made the table. */
const refusesOne = `DO $$ BEGIN
  IF (SELECT xmin FROM pg_class WHERE relname = 'made') = pg_current_xact_id()::xid THEN RAISE 'out of shared memory'; END IF;
END $$;\n`

t.test("what can't be loaded in one transaction is loaded without, and its bytes are counted once", async t => {
  const { connection } = await createTestDatabase(t)
  const rows =
    '\n--\n-- Data for Name: made; Type: TABLE DATA; Schema: public; Owner: -\n--\n\nCOPY public.made (n) FROM stdin;\n1\n\\.\n'
  const bytes = await archiveBytes([], { sql: `CREATE TABLE public.made (n int);\n${refusesOne}${rows}` })
  const archive = await openArchive(await fileWith(t, bytes), bytes.length, organizationId)
  const suffix = randomBytes(16).toString('hex')
  const names = { database: `dab_restore_${suffix}`, loader: `dab_loader_${suffix}` }
  const { loader } = await createScratch(connection, names, locale, 1 << 30)
  t.teardown(async () => {
    await dropScratch(connection, names)
  })
  let read = 0
  await withLoadThread(async load => {
    await load(connection, tools, {
      archive,
      dump: archive.database!,
      database: names.database,
      loader,
      hasDefaultPrivileges: false,
      inOneTransaction: true,
      onBytes: bytes => {
        read += bytes
      },
      signal: new AbortController().signal
    })
  })
  t.same(await withSql(connection, { database: names.database }, async sql => await sql`SELECT n FROM made`), [
    { n: 1 }
  ])
  t.equal(read, archive.database!.size)
})
