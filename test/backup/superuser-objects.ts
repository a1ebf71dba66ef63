import t from 'tap'
import { createBackup } from '../../src/backup/create.js'
import { readTenancy } from '../../src/backup/tenancy.js'
import { parseConnectionUrl, withSql } from '../../src/database/connection/connection.js'
import { restoreBackup } from '../../src/restore/restore.js'
import { createTestDatabase, type TestDatabaseOptions } from '../support/postgres.js'
import { testJob } from '../support/job.js'
import { coreOf, createFolders } from '../support/restore-site.js'

interface Case {
  sql: string
  warning: RegExp | null
  wholeOnly?: boolean
  role?: TestDatabaseOptions
}

const cases: Record<string, Case> = {
  'what an ordinary owner may create': {
    sql: `CREATE EXTENSION pgcrypto; CREATE TYPE span AS RANGE (subtype = float8); CREATE AGGREGATE total (int) (SFUNC = int4pl, STYPE = int);
      CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'`,
    warning: null
  },
  'an untrusted extension': {
    sql: 'CREATE EXTENSION pageinspect',
    warning: /fail at the extension pageinspect.* For the operator: .*DROP EXTENSION/
  },
  'an event trigger': {
    sql: `CREATE FUNCTION look() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
      CREATE EVENT TRIGGER looking ON ddl_command_end WHEN TAG IN ('CREATE CAST') EXECUTE FUNCTION look()`,
    warning: /fail at the event trigger looking/
  },
  'a function in an untrusted language': {
    sql: "CREATE FUNCTION public.plus(int, int) RETURNS int LANGUAGE internal AS 'int4pl'",
    warning: /fail at the function .*plus\(integer,integer\) in a language/
  },
  'a leakproof function': {
    sql: "CREATE FUNCTION public.two() RETURNS int LEAKPROOF LANGUAGE sql AS 'SELECT 2'",
    warning: /fail at the function .*two\(\) that is marked LEAKPROOF/
  },
  'a publication of all tables': {
    sql: 'CREATE PUBLICATION everything FOR ALL TABLES',
    warning: /fail at the publication everything FOR ALL TABLES/,
    wholeOnly: true
  },
  "a superuser's extension, restored in place": {
    sql: 'CREATE EXTENSION pgcrypto',
    warning: null,
    role: { createdb: false, createrole: false }
  },
  "a superuser's publication, restored in place": {
    sql: 'CREATE PUBLICATION theirs FOR TABLE organizations',
    warning: /fail at the publication theirs of another role/,
    wholeOnly: true,
    role: { createdb: false, createrole: false }
  }
}

for (const [name, { sql: statements, warning, wholeOnly = false, role = {} }] of Object.entries(cases)) {
  t.test(`a backup tells what no restore of it can create: ${name}`, async t => {
    const { url, sql, adminUrl } = await createTestDatabase(t, role)
    await sql.unsafe("CREATE TABLE organizations (id text PRIMARY KEY); INSERT INTO organizations VALUES ('acme')")
    await withSql(parseConnectionUrl(adminUrl), {}, async admin => {
      await admin.unsafe(statements)
    })
    const folders = await createFolders(t, url)
    for (const scope of ['instance', 'organization'] as const) {
      const core = coreOf({ ...folders, scope })
      const { id, warnings } = await createBackup(
        core,
        { organizationId: 'acme', type: 'database', createdBy: 't', createdByEmail: null },
        testJob()
      )
      const told = warnings.filter(text => text.startsWith('A restore will fail'))
      const isTold = warning !== null && !(wholeOnly && scope === 'organization')
      t.match(told, isTold ? [warning] : [], scope)
      t.equal(told.length, isTold ? 1 : 0)
      if (scope === 'organization')
        t.match(
          (await readTenancy(core)).notes.filter(text => text.startsWith('A restore will fail')),
          told
        )
      // The user of an organization's restore needs CREATEDB in any case.
      if (scope === 'organization' && (wholeOnly || role.createdb === false)) continue
      const restored = restoreBackup(
        core,
        {
          organizationId: 'acme',
          backupId: id,
          validateChecksum: false,
          rollbackOnFailure: false,
          dryRun: true,
          startedBy: 't'
        },
        testJob({ core })
      )
      if (warning === null) await t.resolves(restored)
      else await t.rejects(restored, { code: /^(PREFLIGHT_FAILED|DUMP_INVALID)$/ }, 'and it is true')
    }
  })
}

t.test('a subscription, which pg_dump leaves out without a word, is warned of', async t => {
  const { url, adminUrl } = await createTestDatabase(t)
  const admin = async (...statements: string[]): Promise<void> => {
    await withSql(parseConnectionUrl(adminUrl), {}, async sql => {
      for (const statement of statements) await sql.unsafe(statement)
    })
  }
  await admin(
    `CREATE SUBSCRIPTION office CONNECTION 'host=127.0.0.1' PUBLICATION everything WITH (connect = false, slot_name = NONE)`
  )
  try {
    const { schemaProof, warnings } = await createBackup(
      coreOf(await createFolders(t, url)),
      { organizationId: 'A', type: 'database', createdBy: 't', createdByEmail: null },
      testJob()
    )
    t.match(schemaProof, { state: 'loaded' })
    t.match(warnings, [
      /^A restore will not bring back the subscription office, .*\(CREATE SUBSCRIPTION\) after a restore\.$/
    ])
  } finally {
    await admin('DROP SUBSCRIPTION office')
  }
})
