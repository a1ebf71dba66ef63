import t from 'tap'
import { openSql } from '../../../src/database/connection/connection.js'
import { archive, mergeFrom, openFixture, otherRows, restore, rowsOf } from '../../support/organization.js'

const a = { organizationId: 'a' }

t.test('writers to a table wait only for triggers that would fire', async t => {
  const { live } = await openFixture(t)
  await live.sql.unsafe(`
    CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.email := upper(NEW.email::text); RETURN NEW; END $$;
    CREATE TRIGGER shout BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION shout()`)
  const archived = await archive(live.connection, 'a')
  const other = openSql(live.connection)
  t.teardown(async () => await other.end({ timeout: 1 }))
  await other`SET lock_timeout = '2s'`
  const write = async (): Promise<unknown> => await other`UPDATE users SET mood = NULL WHERE "organizationId" = 'b'`

  await live.sql`DELETE FROM "Audit Log"."My ""Events""" WHERE user_id = (SELECT id FROM users WHERE email = 'user4@a.example')`
  await live.sql`DELETE FROM users WHERE email = 'user4@a.example'`
  const adding = await mergeFrom(t, live.connection, archived, a)
  await adding.apply()
  await write()
  await adding.commit()

  await live.sql`UPDATE users SET country = NULL WHERE "organizationId" = 'a'`
  const changing = await mergeFrom(t, live.connection, archived, a)
  await changing.apply()
  await t.rejects(write(), { code: '55P03' })
  await changing.commit()
  await write()
  t.equal(
    (await live.sql`SELECT FROM users WHERE email::text LIKE '%@a.example'`).length,
    4,
    'the trigger did not fire for the restore'
  )
})

t.test("a key's action sets off no trigger of a statement either", async t => {
  const { live, sql } = await openFixture(t)
  await sql.unsafe(`
    CREATE TABLE journal (id serial PRIMARY KEY, line text);
    CREATE TABLE boxes (id integer PRIMARY KEY, organization_id text NOT NULL REFERENCES organizations);
    CREATE TABLE things (id integer PRIMARY KEY, box integer NOT NULL REFERENCES boxes ON DELETE CASCADE);
    INSERT INTO boxes VALUES (1, 'a'), (2, 'b');
    INSERT INTO things VALUES (1, 1), (2, 2);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.journal (line) VALUES (TG_TABLE_NAME); RETURN NULL; END $$;
    CREATE TRIGGER note AFTER DELETE ON things FOR EACH STATEMENT EXECUTE FUNCTION note()`)
  const before = await rowsOf(sql, 'a')
  const archived = await archive(live.connection, 'a')
  await sql`INSERT INTO boxes VALUES (3, 'a')`
  const others = await otherRows(sql, 'a')
  t.match(await restore(t, live.connection, archived, a), [{ table: 'public.boxes', removed: 1 }])
  t.strictSame(await rowsOf(sql, 'a'), before)
  t.strictSame(await otherRows(sql, 'a'), others)
  await sql`DELETE FROM things WHERE id = 1`
  t.equal((await sql`SELECT FROM journal`).length, 1, 'the trigger is on again')
})
