import t from 'tap'
import { archive, mergeFrom, openFixture, otherRows, restore, rowsOf } from '../../support/organization.js'

const a = { organizationId: 'a' }

t.test('a rehearsal tries the constraints that came after the backup, as the restore does', async t => {
  const { live, sql } = await openFixture(t)
  await sql.unsafe(`
    CREATE TABLE bookings (id integer PRIMARY KEY, organization_id text NOT NULL REFERENCES organizations, room integer, during int4range, note text);
    INSERT INTO bookings VALUES (1, 'a', 1, '[1,5)', 'one'), (2, 'a', 1, '[4,8)', 'one'), (3, 'a', 2, '[1,3)', NULL), (4, 'a', 3, '[1,3)', 'four'), (5, 'b', 9, '[1,3)', 'five')`)
  const before = await rowsOf(sql, 'a')
  const archived = await archive(live.connection, 'a')
  await sql`DELETE FROM bookings WHERE organization_id = 'a'`
  await restore(t, live.connection, archived, a)
  t.strictSame(await rowsOf(sql, 'a'), before)
  await sql`DELETE FROM bookings WHERE organization_id = 'a'`
  await sql`INSERT INTO bookings VALUES (6, 'b', 3, '[2,4)', 'six')`

  const refused = async (constraint: string, reason: string, message: RegExp): Promise<void> => {
    await sql.unsafe(`ALTER TABLE bookings ADD CONSTRAINT "the new one" ${constraint}`)
    const others = await otherRows(sql, 'a')
    await t.rejects(
      mergeFrom(t, live.connection, archived, { ...a, dryRun: true }),
      { code: 'RESTORE_CONFLICT', errors: [{ field: 'public.bookings', reason, message }] },
      constraint
    )
    await t.rejects(restore(t, live.connection, archived, a), { code: 'RESTORE_CONFLICT' }, `${constraint}, restored`)
    t.strictSame(await otherRows(sql, 'a'), others)
    await sql`ALTER TABLE bookings DROP CONSTRAINT "the new one"`
  }
  await refused('CHECK (upper(during) < 6)', 'check-or-not-null', /1 row .*the new one/)
  await refused("CHECK (note <> 'four') NOT VALID", 'check-or-not-null', /1 row .*the new one/)
  await refused('UNIQUE (note)', 'unique', /2 rows .*the new one/)
  await refused('EXCLUDE USING gist (during WITH &&) WHERE (room = 1)', 'exclusion', /2 rows .*the new one/)
  await refused(
    'EXCLUDE USING gist (int4range(room, room + 1) WITH &&, during WITH &&)',
    'exclusion',
    /3 rows .*the new one/
  )

  await sql`ALTER TABLE bookings ALTER note SET NOT NULL`
  await t.rejects(mergeFrom(t, live.connection, archived, { ...a, dryRun: true }), {
    code: 'RESTORE_CONFLICT',
    errors: [{ field: 'public.bookings', reason: 'check-or-not-null', message: /1 row .*note/ }]
  })
  await t.rejects(restore(t, live.connection, archived, a), {
    code: 'RESTORE_CONFLICT',
    errors: [{ message: /refuses the backup's rows by NOT NULL of note$/ }]
  })
  await sql.unsafe(
    'ALTER TABLE bookings ALTER note DROP NOT NULL, ADD added integer DEFAULT 1, ADD CHECK (added > 0), ADD CHECK (room > 0)'
  )

  const rehearsal = await mergeFrom(t, live.connection, archived, { ...a, dryRun: true })
  t.match(
    rehearsal.changes.find(({ table }) => table === 'public.bookings'),
    { added: 4 }
  )
  await rehearsal.rollback()
  await restore(t, live.connection, archived, a)
  t.equal((await sql`SELECT FROM bookings WHERE organization_id = 'a'`).length, 4)
})
