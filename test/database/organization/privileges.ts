import t from 'tap'
import { withSql, type Connection } from '../../../src/database/connection/connection.js'
import { quoteIdentifier } from '../../../src/database/identifiers.js'
import { archive, loadFixture, mergeFrom, otherRows, restore, rowsOf } from '../../support/organization.js'
import { createTestDatabase } from '../../support/postgres.js'

const a = { organizationId: 'a' }

t.test('what the database user may not do is told beforehand, all at once, by the rehearsal too', async t => {
  const live = await createTestDatabase(t, { role: 'superuser' })
  const { sql, name } = live
  const user = `${name}_service`
  const role = quoteIdentifier(user)
  await loadFixture(sql)
  await sql.unsafe(`
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
    CREATE TRIGGER note AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION note();
    CREATE TABLE lines (organization_id text NOT NULL REFERENCES organizations, line text);
    INSERT INTO lines VALUES ('a', 'one'), ('b', 'two');
    CREATE PUBLICATION all_tables FOR ALL TABLES;
    CREATE ROLE ${role} LOGIN PASSWORD 'service';
    REVOKE TEMPORARY ON DATABASE ${quoteIdentifier(name)} FROM PUBLIC;
    GRANT USAGE ON SCHEMA public, crm, "Audit Log" TO ${role};
    GRANT SELECT ON ALL TABLES IN SCHEMA public, crm, "Audit Log" TO ${role}`)
  const connection: Connection = { ...live.connection, user, password: 'service' }
  const before = await rowsOf(sql, 'a')
  const archived = await archive(live.connection, 'a')
  await sql`UPDATE users SET country = NULL WHERE "organizationId" = 'a'`
  await sql`DELETE FROM crm.labels WHERE organization_id = 'a'`
  await sql`UPDATE crm.labels SET name = name`
  await sql.unsafe(
    "ALTER TABLE lines REPLICA IDENTITY FULL; INSERT INTO lines VALUES ('a', 'three'); ALTER TABLE lines REPLICA IDENTITY DEFAULT"
  )
  const others = await otherRows(sql, 'a')

  const refused = async (messages: RegExp[]): Promise<void> => {
    for (const dryRun of [true, false]) {
      const error = await mergeFrom(t, connection, archived, { ...a, dryRun }).then(
        () => null,
        (error: unknown) => error
      )
      t.match(error, { code: 'PREFLIGHT_FAILED' }, `dryRun: ${dryRun}`)
      const { errors } = error as { errors: Array<{ message: string }> }
      t.equal(errors.length, messages.length, errors.map(({ message }) => message).join('\n'))
      for (const [index, message] of messages.entries()) t.match(errors[index]?.message, message)
    }
    t.strictSame(await otherRows(sql, 'a'), others)
  }
  await refused([/^temporary tables: GRANT TEMPORARY ON DATABASE "test_/])
  await sql.unsafe(`GRANT TEMPORARY ON DATABASE ${quoteIdentifier(name)} TO ${role}`)
  await refused([
    /^a schema of its own in the database: GRANT CREATE ON DATABASE/,
    /^locking the row of public.organizations: GRANT UPDATE \("id"\) ON "public"."organizations"/,
    /^INSERT on crm.labels: GRANT INSERT ON "crm"."labels" TO /,
    /^DELETE on public.lines/,
    /^UPDATE on public.users: GRANT UPDATE ON "public"."users"/,
    /^SELECT and UPDATE on crm.labels_id_seq/,
    /^SELECT and UPDATE on crm.tasks_id_seq: GRANT SELECT, UPDATE ON SEQUENCE crm.tasks_id_seq/,
    /^SELECT and UPDATE on public.users_id_seq/,
    /^ownership of public.users, whose triggers \(note\) .*: ALTER TABLE public.users OWNER TO/,
    /^a replica identity of public.lines, which is published \(all_tables\): ALTER TABLE public.lines REPLICA IDENTITY FULL$/
  ])
  await sql.unsafe(`
    GRANT CREATE ON DATABASE ${quoteIdentifier(name)} TO ${role};
    GRANT UPDATE ("id") ON "public"."organizations" TO ${role};
    GRANT INSERT ON "crm"."labels" TO ${role};
    GRANT DELETE ON "public"."lines" TO ${role};
    GRANT UPDATE ON "public"."users" TO ${role};
    GRANT SELECT ON SEQUENCE crm.labels_id_seq, crm.tasks_id_seq, public.users_id_seq TO ${role};
    ALTER TABLE public.users OWNER TO ${role};
    ALTER TABLE public.lines REPLICA IDENTITY FULL;
    ALTER SEQUENCE crm.tasks_id_seq RESTART`)
  await refused([/^UPDATE on crm.tasks_id_seq: GRANT UPDATE ON SEQUENCE crm.tasks_id_seq/])
  await sql.unsafe(`GRANT UPDATE ON SEQUENCE crm.tasks_id_seq TO ${role}`)
  const rehearsal = await mergeFrom(t, connection, archived, { ...a, dryRun: true })
  await rehearsal.rollback()
  await restore(t, connection, archived, a)
  t.strictSame(await rowsOf(sql, 'a'), before, 'nothing more is needed than what was named')
  t.strictSame(await withSql(connection, {}, async sql => await rowsOf(sql, 'a')), before)
})
