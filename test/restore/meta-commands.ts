import { access, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { withSql } from '../../src/database/connection/connection.js'
import { loadDump } from '../../src/database/load/load-dump.js'
import { findPostgresTools } from '../../src/database/postgres-tools.js'
import { createScratch, dropScratch } from '../../src/database/load/scratch.js'
import { createTestDatabase } from '../support/postgres.js'

const head = '--\n-- PostgreSQL database dump\n--\n\n'
const locale = { encoding: 'UTF8', collate: 'C', ctype: 'C', localeProvider: 'c', icuLocale: null }

t.test('nothing in a dump makes psql run a program or reach the live database', async t => {
  const { connection, sql, name } = await createTestDatabase(t)
  await sql`CREATE TABLE live (id int)`
  const folder = await mkdtemp(join(tmpdir(), 'dab-attack-'))
  t.teardown(async () => await rm(folder, { recursive: true }))
  const tools = await findPostgresTools({ binDir: process.env.PG_BIN_DIR ?? null, serverMajor: 15 })
  const proof = join(folder, 'proof')
  const touch = `touch ${proof}`
  const attacks: Record<string, string> = {
    shell: `\\! ${touch}\n`,
    copy: `CREATE TABLE x (t text);\n\\copy x FROM PROGRAM '${touch}'\n`,
    output: `\\o |${touch}\nSELECT 1;\n`,
    backticks: `\\echo \`${touch}\`\n`,
    'mid-line': `SELECT 1 \\! ${touch}\n;`,
    pipe: `SELECT 1 \\g |${touch}\n`,
    'after COPY data': `CREATE TABLE x (t text);\nCOPY x FROM stdin;\na\n\\.\n\\! ${touch}\n`,
    'a guessed key': `\\unrestrict ${'0'.repeat(64)}\n\\! ${touch}\n`,
    'no key': `\\unrestrict\n\\! ${touch}\n`,
    'a second restrict': `\\restrict abc\n\\unrestrict abc\n\\! ${touch}\n`,
    'its own key twice': `\\restrict abc\n\\restrict abc\n\\unrestrict abc\n\\unrestrict abc\n\\! ${touch}\n`,
    include: '\\i /etc/hostname\n',
    'another database': `\\c ${name}\nDROP TABLE live;\n`,
    "the server's shell": `COPY (SELECT 1) TO PROGRAM '${touch}';\n`,
    'a role': `SET ROLE ${name};\n`,
    'an owner': `SET SESSION AUTHORIZATION ${name};\n`,
    'our rights': `GRANT ${name} TO CURRENT_USER;\n`,
    'a new role': 'CREATE ROLE dab_intruder SUPERUSER;\n'
  }
  for (const [attack, text] of Object.entries(attacks)) {
    for (const dump of [text, head + text, `${head}\\restrict key\n\n${text}\n\\unrestrict key\n\n`]) {
      const suffix = randomBytes(16).toString('hex')
      const names = { database: `dab_restore_${suffix}`, loader: `dab_loader_${suffix}` }
      try {
        const { loader } = await createScratch(connection, names, locale, 1 << 30)
        await t.rejects(
          loadDump(connection, tools, {
            database: names.database,
            loader,
            hasDefaultPrivileges: false,
            signal: new AbortController().signal,
            sql: (async function* () {
              yield Buffer.from(dump)
            })()
          }),
          { code: 'DUMP_INVALID' },
          attack
        )
        if (attack === 'shell') {
          await t.rejects(
            withSql({ ...connection, ...loader }, {}, async sql => await sql`DROP TABLE live`),
            'the loader owns nothing of the live database'
          )
        }
      } finally {
        await dropScratch(connection, names)
      }
      await t.rejects(access(proof), attack)
    }
  }
  t.equal((await sql`SELECT FROM live`).length, 0)
})
