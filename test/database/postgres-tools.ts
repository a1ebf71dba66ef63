import { mkdtemp, chmod, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { findPostgresTools, findServerBinaries } from '../../src/database/postgres-tools.js'
import { runProgram } from '../../src/io/process.js'
import { createTestDatabase } from '../support/postgres.js'

/** A folder with programs that only tell a version. */
async function installed(t: Test, version: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'dab-tools-'))
  t.teardown(async () => await rm(folder, { recursive: true }))
  for (const name of ['pg_dump', 'psql', 'initdb', 'pg_ctl', 'postgres']) {
    await writeFile(join(folder, name), `#!/bin/sh\necho "${name} (PostgreSQL) ${version}"\n`)
    await chmod(join(folder, name), 0o755)
  }
  return folder
}

t.test('finds the real tools for the server', async t => {
  const { sql } = await createTestDatabase(t)
  const [row] = await sql`SELECT current_setting('server_version_num')::int / 10000 AS major`
  const tools = await findPostgresTools({ serverMajor: row?.major })
  t.ok(tools.major >= row?.major)
  t.match(await runProgram(tools.pgDump, ['--version']), tools.version)
  t.match(await runProgram(tools.psql, ['--version']), 'psql')
})

t.test('binDir wins when it fits', async t => {
  const binDir = await installed(t, '99.3 (Debian 99.3-1)')
  t.strictSame(await findPostgresTools({ binDir, serverMajor: 98 }), {
    pgDump: join(binDir, 'pg_dump'),
    psql: join(binDir, 'psql'),
    version: '99.3',
    major: 99,
    serverMajor: 98
  })
  t.match(await findServerBinaries({ binDir }), { postgres: join(binDir, 'postgres'), major: 99 })
  t.equal((await findPostgresTools({ binDir: await installed(t, '17beta2'), serverMajor: 17 })).version, '17beta2')
})

t.test('a binDir that is too old is passed over', async t => {
  const binDir = await installed(t, '9.6.1')
  const tools = await findPostgresTools({ binDir, serverMajor: 12 })
  t.not(dirname(tools.pgDump), binDir)
})

t.test('says what is missing, and the way out', async t => {
  const binDir = await installed(t, '97.1')
  await t.rejects(findPostgresTools({ binDir, serverMajor: 98 }), {
    code: 'DATABASE_TOOLS_MISSING',
    reason: 'client-tools-too-old',
    message: /97\.1/,
    remedy: /postgresql-client-98/
  })
  await t.rejects(findServerBinaries({ major: 9 }), { code: 'DATABASE_TOOLS_MISSING', remedy: /postgresql-9/ })
})

t.test("the server's programs are of one version", async t => {
  const { initdb, pgCtl, postgres, major } = await findServerBinaries()
  for (const program of [initdb, pgCtl, postgres]) t.match(await runProgram(program, ['--version']), ` ${major}`)
  t.equal((await findServerBinaries({ major })).postgres, postgres)
})

t.test('a program is started again to be asked only when another is in its place', async t => {
  const binDir = await installed(t, '99.1')
  const asked = join(binDir, 'asked')
  const put = async (version: string): Promise<void> => {
    await rm(join(binDir, 'pg_dump'))
    await writeFile(
      join(binDir, 'pg_dump'),
      `#!/bin/sh\necho ${version} >> ${asked}\necho "pg_dump (PostgreSQL) ${version}"\n`,
      { mode: 0o755 }
    )
  }
  for (const version of ['99.1', '99.2']) {
    await put(version)
    for (let look = 0; look < 3; look += 1)
      t.equal((await findPostgresTools({ binDir, serverMajor: 99 })).version, version)
  }
  t.equal(await readFile(asked, 'utf8'), '99.1\n99.2\n')
})
