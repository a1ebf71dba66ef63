import t from 'tap'
import { createBackup } from '../../src/backup/create.js'
import { withSql } from '../../src/database/connection/connection.js'
import { restoreBackup } from '../../src/restore/restore.js'
import { undoRestore } from '../../src/restore/undo.js'
import { testJob } from '../support/job.js'
import { createTestDatabase } from '../support/postgres.js'
import { coreOf, createFolders } from '../support/restore-site.js'

// PostgreSQL hashes a value of an enum, or the name of an object, by the number that it has in this database: another
// one has it in another partition.
for (const mode of ['swap', 'in-place', 'merge'] as const) {
  t.test(
    `rows in partitions by the hash of a number of the database's own are restored and come back with an undo (${mode})`,
    async t => {
      const { url, sql, connection } = await createTestDatabase(
        t,
        mode === 'in-place' ? { createdb: false, createrole: false } : {}
      )
      await sql.unsafe(`CREATE TABLE organizations (id text PRIMARY KEY); INSERT INTO organizations VALUES ('A')${mode === 'merge' ? ", ('B')" : ''};
      CREATE TYPE kind AS ENUM (${Array.from({ length: 12 }, (_, index) => `'k${index}'`).join(', ')}); CREATE SCHEMA "a|b";
      CREATE TABLE "a|b"."parts|" (id int, org text NOT NULL REFERENCES organizations, kind kind, PRIMARY KEY (id, kind)) PARTITION BY HASH (kind);
      CREATE TABLE many (id int, org text NOT NULL REFERENCES organizations, kinds kind[]) PARTITION BY HASH (kinds);
      CREATE TABLE named (id int, org text NOT NULL REFERENCES organizations, relation regclass) PARTITION BY HASH (relation);
      ${[0, 1, 2].flatMap(part => ['"a|b"."parts|"', 'many', 'named'].map((table, index) => `CREATE TABLE part_${index}_${part} PARTITION OF ${table} FOR VALUES WITH (MODULUS 3, REMAINDER ${part});`)).join('\n')}
      INSERT INTO "a|b"."parts|" SELECT n, 'A', (enum_range(NULL::kind))[n % 12 + 1] FROM generate_series(1, 60) n;
      INSERT INTO many SELECT id, org, ARRAY[kind] FROM "a|b"."parts|"; INSERT INTO named SELECT n, 'A', ('part_' || n % 3 || '_' || n / 3 % 3)::regclass FROM generate_series(1, 60) n`)
      const rows = async (): Promise<number> =>
        await withSql(
          connection,
          {},
          async sql =>
            (await sql`SELECT id FROM "a|b"."parts|" JOIN many USING (id) JOIN named USING (id) GROUP BY id`).length
        )
      const core = coreOf({ ...(await createFolders(t, url)), scope: mode === 'merge' ? 'organization' : 'instance' })
      const { id, schemaProof } = await createBackup(
        core,
        { organizationId: 'A', type: 'database', createdBy: 't', createdByEmail: null },
        testJob()
      )
      t.match(schemaProof, { state: mode === 'in-place' ? 'not-tried' : 'loaded' })
      await sql`DELETE FROM "a|b"."parts|" WHERE id <= 20`
      await sql.end({ timeout: 1 })
      const request = {
        organizationId: 'A',
        backupId: id,
        validateChecksum: false,
        rollbackOnFailure: true,
        startedBy: 't'
      }
      const { report } = await restoreBackup(core, { ...request, dryRun: true }, testJob({ core }))
      t.equal(report.database?.mode, mode)
      const { restoreId } = await restoreBackup(core, { ...request, dryRun: false }, testJob({ core }))
      t.equal(await rows(), 60)
      await undoRestore(core, { organizationId: 'A', restoreId, startedBy: 't' }, testJob({ core }))
      t.equal(await rows(), 40)
    }
  )
}
