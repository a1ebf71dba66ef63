import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { lostConnection } from '../../../src/database/connection/program-error.js'
import { dumpFailed } from '../../../src/database/instance-dump.js'
import { loadFailed } from '../../../src/database/load/load-dump.js'
import { runProgram } from '../../../src/io/process.js'
import { testFolder } from '../../support/archive.js'

t.test('a program that is gone by the time it is needed is no fault of the dump', async t => {
  const folder = await testFolder(t)
  await writeFile(join(folder, 'psql'), '')
  await chmod(join(folder, 'psql'), 0o644)
  for (const [file, system] of [
    [join(folder, 'pg_dump'), 'ENOENT'],
    [join(folder, 'psql'), 'EACCES']
  ] as const) {
    const error: unknown = await runProgram(file, []).catch((error: unknown) => error)
    for (const told of [dumpFailed(error), await loadFailed(error)])
      t.match(told, { code: 'DATABASE_TOOLS_MISSING', reason: 'client-tool-not-run', message: system })
  }
})

t.test('a program that has run and failed is not taken for one that is missing', async t => {
  const error: unknown = await runProgram('/bin/false', []).catch((error: unknown) => error)
  t.equal(lostConnection(error), null)
})
