import t from 'tap'
import { loadFailed } from '../../src/database/load/load-dump.js'
import { parseConnectionUrl, withSql } from '../../src/database/connection/connection.js'
import { ProgramError } from '../../src/io/process.js'
import { setUpTenants } from '../support/tenants.js'

interface Case {
  make: string
  undo: string
  status: number
  expected: object
}

const unreadable = (reason: string, message: RegExp): object => ({
  code: 'PREFLIGHT_FAILED',
  reason: 'unreadable-objects',
  message,
  errors: [{ reason, message }]
})

/** `app` is the name of the database and of its user. */
const cases: Record<string, Case> = {
  'FORCE ROW LEVEL SECURITY': {
    make: 'ALTER TABLE items ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY',
    undo: 'ALTER TABLE items DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY',
    status: 409,
    expected: unreadable('hidden-rows', / public\.items .*BYPASSRLS.* FORCE ROW LEVEL SECURITY/)
  },
  "policies of another role's table": {
    make: 'CREATE TABLE theirs (a int); GRANT SELECT ON theirs TO app; ALTER TABLE theirs ENABLE ROW LEVEL SECURITY',
    undo: 'DROP TABLE theirs',
    status: 409,
    expected: unreadable('hidden-rows', / public\.theirs /)
  },
  'a table that may not be read': {
    make: 'CREATE TABLE "Their Table" (a int)',
    undo: 'DROP TABLE "Their Table"',
    status: 409,
    expected: unreadable('not-readable', /run GRANT SELECT ON TABLE public\."Their Table" TO test_\w+\./)
  },
  'a sequence that may not be read': {
    make: 'CREATE SEQUENCE theirs',
    undo: 'DROP SEQUENCE theirs',
    status: 409,
    expected: unreadable('not-readable', /run GRANT SELECT ON SEQUENCE public\.theirs/)
  },
  'a schema that may not be used': {
    make: 'CREATE SCHEMA theirs; CREATE TABLE theirs.t (a int); GRANT SELECT ON theirs.t TO app',
    undo: 'DROP SCHEMA theirs CASCADE',
    status: 409,
    expected: unreadable('schema-not-usable', /run GRANT USAGE ON SCHEMA theirs/)
  },
  'a large object that may not be read': {
    make: "SELECT lo_from_bytea(4711, 'x')",
    undo: 'SELECT lo_unlink(4711)',
    status: 409,
    expected: unreadable('not-readable', /run GRANT SELECT ON LARGE OBJECT 4711/)
  },
  'a role without LOGIN': {
    make: 'ALTER ROLE app NOLOGIN',
    undo: 'ALTER ROLE app LOGIN',
    status: 503,
    expected: { code: 'DATABASE_UNAVAILABLE', remedy: /ALTER ROLE \.\.\. LOGIN/ }
  },
  'a password that has expired': {
    make: "ALTER ROLE app VALID UNTIL '2001-01-01'",
    undo: "ALTER ROLE app VALID UNTIL 'infinity'",
    status: 503,
    expected: { code: 'DATABASE_UNAVAILABLE', remedy: /VALID UNTIL/ }
  },
  "a role's connection limit": {
    make: 'ALTER ROLE app CONNECTION LIMIT 0',
    undo: 'ALTER ROLE app CONNECTION LIMIT -1',
    status: 503,
    expected: { code: 'DATABASE_UNAVAILABLE', reason: 'no-free-connection', remedy: /CONNECTION LIMIT of the role/ }
  },
  "a database's connection limit": {
    make: 'ALTER DATABASE app CONNECTION LIMIT 0',
    undo: 'ALTER DATABASE app CONNECTION LIMIT -1',
    status: 503,
    expected: { code: 'DATABASE_UNAVAILABLE', remedy: /CONNECTION LIMIT of the role or of the database/ }
  },
  'no right to connect': {
    make: 'REVOKE CONNECT ON DATABASE app FROM PUBLIC, app',
    undo: 'GRANT CONNECT ON DATABASE app TO PUBLIC',
    status: 503,
    expected: { code: 'DATABASE_UNAVAILABLE', remedy: /GRANT CONNECT ON DATABASE/ }
  }
}

t.test('what keeps the database user from the database is told with what helps against it', async t => {
  const { database, post } = await setUpTenants(t, { ids: [], env: { DATABASE_SCOPE: 'instance' } })
  await database.sql.unsafe('CREATE TABLE items (id int PRIMARY KEY); INSERT INTO items VALUES (1)')
  await withSql(parseConnectionUrl(database.adminUrl), {}, async admin => {
    for (const [name, { make, undo, status, expected }] of Object.entries(cases)) {
      await admin.unsafe(make.replaceAll(/\bapp\b/g, database.name))
      t.match(await post('create', { type: 'database' }, status), expected, name)
      await admin.unsafe(undo.replaceAll(/\bapp\b/g, database.name))
    }
  })
  t.comment(`${Object.keys(cases).length} refusals of the database, none of them a 500`)
  const { id } = await post<{ id: string }>('create', { type: 'database' }, 201)

  await database.sql.unsafe('ALTER TABLE items ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY')
  t.match(
    await post(`restore/${id}`, { dryRun: true }),
    { report: { database: { tables: [{ table: 'public.items', rows: 1, note: /can't be compared/ }] } } },
    'no restore is refused for it, and so no dry run'
  )
  await post(`restore/${id}`)
})

t.test(
  "a server or a pooler that refuses the role which loads a dump is told apart from a dump that can't be loaded",
  async t => {
    for (const reason of [
      'no pg_hba.conf entry for host "10.0.0.7", user "dab_loader_1", database "dab_restore_1", no encryption',
      'password authentication failed for user "dab_loader_1"',
      'no such user: dab_loader_1',
      'no such database: dab_restore_1',
      'SASL authentication failed',
      'server login failed: wrong password',
      'Tenant or user not found',
      'role "dab_loader_1" does not exist'
    ]) {
      const stderr = `psql: error: connection to server at "10.0.0.1", port 6432 failed: FATAL:  ${reason}\n`
      t.match(
        await loadFailed(new ProgramError('psql', { exitCode: 2, stderr, cause: undefined })),
        {
          code: 'DATABASE_UNAVAILABLE',
          reason: 'loader-role-refused',
          remedy: /DATABASE_URL lead to the server itself.*pg_hba\.conf.*CREATEROLE/
        },
        reason
      )
    }
    const full =
      'psql: error: connection to server at "10.0.0.1", port 5432 failed: FATAL:  sorry, too many clients already\n'
    t.match(await loadFailed(new ProgramError('psql', { exitCode: 2, stderr: full, cause: undefined })), {
      code: 'DATABASE_UNAVAILABLE',
      reason: 'no-free-connection'
    })
    const locks =
      'psql:<stdin>:4: ERROR:  out of shared memory\nHINT:  You might need to increase max_locks_per_transaction.\n'
    t.match(await loadFailed(new ProgramError('psql', { exitCode: 3, stderr: locks, cause: undefined })), {
      code: 'DATABASE_UNAVAILABLE',
      remedy: /max_locks_per_transaction/
    })
    t.match(
      await loadFailed(
        new ProgramError('psql', {
          exitCode: 3,
          stderr: 'psql:<stdin>:4: ERROR:  role "bob" does not exist\n',
          cause: undefined
        })
      ),
      { code: 'DUMP_INVALID' }
    )
  }
)
