import t from 'tap'
import { openSql } from '../../../src/database/connection/connection.js'
import { archive, mergeFrom, openFixture } from '../../support/organization.js'

const a = { organizationId: 'a' }

// Each is waited for as long as the restore waits for a lock, so all at once.
t.test('who locks a table is named', async t => {
  const attempt = async (lock: string, table: string, dryRun: boolean): Promise<void> => {
    const { live } = await openFixture(t)
    await live.sql.unsafe(`
      CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
      CREATE TRIGGER note AFTER INSERT ON crm.labels FOR EACH ROW EXECUTE FUNCTION note()`)
    const archived = await archive(live.connection, 'a')
    await live.sql`DELETE FROM crm.labels WHERE organization_id = 'a'`
    await live.sql`UPDATE users SET country = NULL WHERE "organizationId" = 'a'`
    const other = openSql(live.connection, { applicationName: 'nightly job' })
    const bystander = openSql(live.connection, { applicationName: 'bystander' })
    t.teardown(async () => {
      await other.end({ timeout: 0 })
      await bystander.end({ timeout: 0 })
    })
    await bystander.unsafe("BEGIN; UPDATE crm.projects SET settings = NULL WHERE organization_id = 'b'")
    await other.unsafe(`BEGIN; ${lock}`)
    const [{ pid }] = await other<[{ pid: number }]>`SELECT pg_backend_pid() AS pid`
    const error = await mergeFrom(t, live.connection, archived, { ...a, dryRun })
      .then(async merge => {
        await merge.apply()
      })
      .then(
        () => null,
        (error: unknown) => error
      )
    t.match(
      error,
      {
        code: 'DATABASE_BUSY',
        message: `${table} stayed locked by session ${pid} of ${live.user} (nightly job).`,
        remedy: /End the sessions/
      },
      lock
    )
  }
  await Promise.all([
    attempt('LOCK TABLE crm.tasks IN ACCESS EXCLUSIVE MODE', 'crm.tasks', true),
    attempt("UPDATE organizations SET name = 'x' WHERE id = 'a'", 'public.organizations', false),
    attempt('UPDATE users SET mood = NULL WHERE "organizationId" = \'a\'', 'public.users', false),
    attempt("INSERT INTO crm.labels (organization_id, name) VALUES ('b', 'new')", 'crm.labels', false)
  ])
})
