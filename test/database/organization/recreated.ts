import t from 'tap'
import type postgres from 'postgres'
import {
  archive,
  archiveFixture,
  changed,
  mergeFrom,
  openFixture,
  otherRows,
  restore,
  rowsOf
} from '../../support/organization.js'
import { createTestDatabase } from '../../support/postgres.js'

const a = { organizationId: 'a' }

/** Tables of their own for each pair of a key's actions; `always`: no UPDATE can write the project's id. */
const cases = [
  ...['NO ACTION', 'RESTRICT', 'CASCADE', 'SET NULL', 'SET DEFAULT'].map(onDelete => ({
    onDelete,
    onUpdate: 'NO ACTION'
  })),
  { onDelete: 'NO ACTION', onUpdate: 'CASCADE' },
  { onDelete: 'CASCADE', onUpdate: 'CASCADE' }
].flatMap(actions => [false, true].map(always => ({ ...actions, always })))

const each = async (
  sql: postgres.Sql,
  statements: (n: number, one: (typeof cases)[number]) => string
): Promise<void> => {
  await sql.begin(async sql => await sql.unsafe(cases.map((one, n) => statements(n, one)).join(';')))
}

t.test('a row that was deleted and made again under the same unique value', async t => {
  const live = await createTestDatabase(t)
  const { sql } = live
  await sql.unsafe(
    "CREATE TABLE organizations (id text PRIMARY KEY, name text); INSERT INTO organizations SELECT o, o FROM unnest(ARRAY['a', 'b']) o"
  )
  await each(
    sql,
    (n, { onDelete, onUpdate, always }) => `
    CREATE TABLE proj_${n} (id integer GENERATED ${always ? 'ALWAYS' : 'BY DEFAULT'} AS IDENTITY PRIMARY KEY, org text NOT NULL REFERENCES organizations, slug text NOT NULL UNIQUE);
    CREATE TABLE task_${n} (id integer PRIMARY KEY, org text NOT NULL REFERENCES organizations, slug text REFERENCES proj_${n} (slug) ON DELETE ${onDelete} ON UPDATE ${onUpdate});
    CREATE TABLE step_${n} (task integer NOT NULL REFERENCES task_${n} ON DELETE CASCADE, what text);
    INSERT INTO proj_${n} (org, slug) VALUES ('a', 'website'), ('a', 'shop'), ('b', 'blog');
    INSERT INTO task_${n} VALUES (1, 'a', 'website'), (2, 'a', 'website'), (3, 'a', 'shop'), (4, 'b', 'blog');
    INSERT INTO step_${n} VALUES (1, 'one'), (2, 'two'), (3, 'three'), (4, 'four')`
  )
  const before = await rowsOf(sql, 'a')
  const archived = await archive(live.connection, 'a')
  // Task 1 goes with its project, task 2 is put back to the new one, and a note of a newer table hangs on it.
  await each(
    sql,
    n => `
    UPDATE task_${n} SET slug = 'shop' WHERE id = 2; DELETE FROM step_${n} WHERE task = 1; DELETE FROM task_${n} WHERE id = 1;
    DELETE FROM proj_${n} WHERE slug = 'website';
    INSERT INTO proj_${n} (org, slug) VALUES ('a', 'website');
    UPDATE task_${n} SET slug = 'website' WHERE id = 2;
    INSERT INTO task_${n} VALUES (9, 'a', 'website')`
  )
  await each(
    sql,
    (n, { onDelete }) => `
    CREATE TABLE note_${n} (id integer PRIMARY KEY, slug text NOT NULL REFERENCES proj_${n} (slug)${['NO ACTION', 'RESTRICT'].includes(onDelete) ? '' : ' ON DELETE CASCADE'});
    INSERT INTO note_${n} VALUES (1, 'website'), (2, 'blog')`
  )
  const [mutated, others] = [await rowsOf(sql, 'a'), await otherRows(sql, 'a')]
  const places = async (): Promise<string[]> =>
    (
      await Promise.all(
        cases.map(async ({ always }, n) =>
          always
            ? []
            : await sql.unsafe<Array<{ place: string }>>(
                `SELECT 'task_${n} ' || ctid || xmin AS place FROM task_${n} WHERE id IN (2, 3) UNION ALL SELECT 'note_${n} ' || ctid || xmin FROM note_${n}`
              )
        )
      )
    )
      .flat()
      .map(({ place }) => place)
  const untouched = await places()
  const checkpoint = await archive(live.connection, 'a')

  const rehearsal = await mergeFrom(t, live.connection, archived, { ...a, dryRun: true })
  await rehearsal.rollback()
  for (const [n, { onDelete, onUpdate, always }] of cases.entries()) {
    const paired = !always && onDelete !== 'NO ACTION'
    t.match(
      changed(rehearsal).filter(({ table }) => table.endsWith(`_${n}`)),
      [
        { table: `public.proj_${n}`, added: paired ? 0 : 1, changed: paired ? 1 : 0, removed: paired ? 0 : 1 },
        { table: `public.step_${n}`, added: 1, changed: 0, removed: 0 },
        { table: `public.task_${n}`, added: 1, changed: 0, removed: 1 }
      ],
      `ON DELETE ${onDelete} ON UPDATE ${onUpdate}`
    )
  }
  t.strictSame(await restore(t, live.connection, archived, a), changed(rehearsal), 'the rehearsal said what happens')
  const restored = await rowsOf(sql, 'a')
  t.strictSame({ ...restored, ...before }, restored)
  t.strictSame(await otherRows(sql, 'a'), others)
  t.strictSame(await places(), untouched, "where a row took the other's place, those that lead there were not written")
  await restore(t, live.connection, checkpoint, a)
  t.strictSame(await rowsOf(sql, 'a'), mutated, 'the undo brings everything back')
  t.strictSame(await otherRows(sql, 'a'), others)
})

t.test(
  'a row of another organization that leads to such a value is not written: it stays where it can, else it is told',
  async t => {
    const { live, sql } = await openFixture(t)
    const tenancy = { tables: { marks: { owner: 'org' } } }
    const start = async (identity: string): Promise<void> => {
      await sql.unsafe(`
      DROP TABLE IF EXISTS marks, proj;
      CREATE TABLE proj (id integer GENERATED ${identity} AS IDENTITY PRIMARY KEY, org text NOT NULL REFERENCES organizations, slug text NOT NULL UNIQUE);
      CREATE TABLE marks (org text NOT NULL REFERENCES organizations, slug text NOT NULL REFERENCES proj (slug) ON DELETE CASCADE);
      INSERT INTO proj (org, slug) VALUES ('a', 'website')`)
    }
    const again = async (): Promise<void> => {
      await sql.unsafe(
        `DELETE FROM proj; INSERT INTO proj (org, slug) VALUES ('a', 'website'); INSERT INTO marks VALUES ('b', 'website')`
      )
    }
    await start('BY DEFAULT')
    const before = await rowsOf(sql, 'a', tenancy)
    const archived = await archive(live.connection, 'a', tenancy)
    await again()
    const others = await otherRows(sql, 'a', tenancy)
    t.match(await restore(t, live.connection, archived, { ...a, tenancy }), [{ table: 'public.proj', changed: 1 }])
    t.strictSame([await rowsOf(sql, 'a', tenancy), await otherRows(sql, 'a', tenancy)], [before, others])

    await start('ALWAYS')
    const another = await archive(live.connection, 'a', tenancy)
    await again()
    for (const dryRun of [true, false]) {
      await t.rejects(mergeFrom(t, live.connection, another, { ...a, dryRun, tenancy }), {
        code: 'RESTORE_CONFLICT',
        errors: [
          { reason: 'referenced-from-outside', field: 'public.proj', message: /1 row .* public\.marks \(slug\) / }
        ]
      })
    }
  }
)

t.test('ON DELETE SET NULL of some columns, and a key that puts a default there', async t => {
  const { live, sql, archived } = await archiveFixture(t)
  await sql.unsafe(`
    INSERT INTO crm.projects VALUES ('a', 99, 'added', NULL);
    CREATE TABLE plans (id integer PRIMARY KEY, organization_id text NOT NULL REFERENCES organizations, project integer,
      FOREIGN KEY (organization_id, project) REFERENCES crm.projects ON DELETE SET NULL (project));
    INSERT INTO plans VALUES (1, 'a', 99), (2, 'a', 1)`)
  t.match(await restore(t, live.connection, archived, a), [
    { table: 'crm.projects', removed: 1 },
    { table: 'public.plans', changed: 1, removed: 0 }
  ])
  t.strictSame((await rowsOf(sql, 'a'))['public.plans'], ['(1,a,)', '(2,a,1)'])
  await sql.unsafe(`
    INSERT INTO crm.projects VALUES ('a', 99, 'added', NULL); UPDATE plans SET project = 99 WHERE id = 1;
    ALTER TABLE plans DROP CONSTRAINT plans_organization_id_project_fkey,
      ADD FOREIGN KEY (organization_id, project) REFERENCES crm.projects ON DELETE SET DEFAULT (project)`)
  for (const dryRun of [true, false]) {
    await t.rejects(mergeFrom(t, live.connection, archived, { ...a, dryRun }), {
      code: 'RESTORE_CONFLICT',
      errors: [
        {
          reason: 'referenced-by-kept-rows',
          message: /public\.plans \(organization_id, project\).*organization_id, project to NULL/
        }
      ]
    })
  }
})

t.test('a SET NULL that is followed can break a unique index: told by the rehearsal and by the restore', async t => {
  const { live, sql, archived } = await archiveFixture(t)
  for (const unique of [
    'CREATE UNIQUE INDEX "one only" ON pins (org, project) NULLS NOT DISTINCT',
    'CREATE UNIQUE INDEX "one only" ON pins (org) WHERE project IS NULL'
  ]) {
    await sql.unsafe(`
      DROP TABLE IF EXISTS pins; DELETE FROM crm.projects WHERE number = 99;
      INSERT INTO crm.projects VALUES ('a', 99, 'added', NULL);
      CREATE TABLE pins (id integer PRIMARY KEY, org text NOT NULL REFERENCES organizations, project integer,
        FOREIGN KEY (org, project) REFERENCES crm.projects ON DELETE SET NULL (project));
      ${unique};
      INSERT INTO pins VALUES (1, 'a', 99), (2, 'a', NULL)`)
    for (const dryRun of [true, false]) {
      await t.rejects(
        mergeFrom(t, live.connection, archived, { ...a, dryRun }),
        {
          code: 'RESTORE_CONFLICT',
          errors: [{ field: 'public.pins', reason: 'unique', message: /1 row .*one only/ }]
        },
        unique
      )
    }
  }
})
