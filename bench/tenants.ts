import type { Sql } from 'postgres'

/** Whose backup is made and restored. */
export const organizationId = 'org-1'
const writersNumber = 2

/** Changes the organization's rows, so that a restore has something to do. */
export interface Damage {
  name: string
  run(sql: Sql): Promise<unknown>
}

const oneInTwenty = 'abs(hashint8(id)::bigint) % 20'
const ownComments = `asset_id IN (SELECT id FROM assets WHERE "organizationId" = '${organizationId}')`

export const damages: readonly Damage[] = [
  {
    name: 'a tenth of its rows changed or gone',
    run: async sql => {
      await sql`DELETE FROM comments WHERE ${sql.unsafe(oneInTwenty)} = 0 AND ${sql.unsafe(ownComments)}`
      await sql`UPDATE comments SET body = 'oops ' || body WHERE ${sql.unsafe(oneInTwenty)} = 1 AND ${sql.unsafe(ownComments)}`
      await sql`UPDATE assets SET name = 'oops ' || name WHERE ${sql.unsafe(oneInTwenty)} < 2 AND "organizationId" = ${organizationId}`
    }
  },
  {
    name: 'all of its rows gone',
    run: async sql => {
      await sql`DELETE FROM comments WHERE ${sql.unsafe(ownComments)}`
      await sql`DELETE FROM assets WHERE "organizationId" = ${organizationId}`
    }
  }
]

/** What a user of another organization writes all the time, into the tables that the restore writes to as well. */
export function writersStatement({ organizations }: { organizations: number }): string {
  const id = organizations + writersNumber
  return `WITH commented AS (UPDATE comments SET body = body WHERE id = ${id}) UPDATE assets SET price = price + 1 WHERE id = ${id}`
}

/** Organizations with so many rows each: a quarter in a table of its own column, the others one key further. */
export async function makeOrganizations(
  sql: Sql,
  { rows, organizations }: { rows: number; organizations: number }
): Promise<void> {
  await sql`CREATE TABLE organizations (id text PRIMARY KEY, name text NOT NULL)`
  await sql`CREATE TABLE assets (id bigint PRIMARY KEY, "organizationId" text NOT NULL REFERENCES organizations, name text NOT NULL,
    price numeric(12,2), details jsonb, "updatedAt" timestamptz NOT NULL)`
  await sql`CREATE TABLE comments (id bigint PRIMARY KEY, asset_id bigint NOT NULL REFERENCES assets, body text NOT NULL, "createdAt" timestamptz NOT NULL)`
  const assets = Math.ceil(rows / 4)
  const comments = rows - assets
  for (let number = 1; number <= organizations; number += 1) {
    const id = `org-${number}`
    await sql`INSERT INTO organizations VALUES (${id}, 'Organization ' || ${id}::text)`
    await sql`INSERT INTO assets SELECT n * ${organizations}::int + ${number}::int, ${id}, 'Asset ' || md5(n::text), n % 5000,
      jsonb_build_object('floor', n % 12, 'serial', md5((n * 7)::text)), timestamptz '2024-01-01' + n * interval '37 seconds'
      FROM generate_series(1, ${assets}::int) n`
    await sql`INSERT INTO comments SELECT n * ${organizations}::int + ${number}::int, (1 + n % ${assets}::int) * ${organizations}::int + ${number}::int,
      repeat('Checked and found in order. ', 1 + n % 5), timestamptz '2024-02-01' + n * interval '41 seconds'
      FROM generate_series(1, ${comments}::int) n`
  }
  await sql`CREATE INDEX ON assets ("organizationId")`
  await sql`CREATE INDEX ON comments (asset_id)`
  await sql`VACUUM ANALYZE`
}

/** The triggers that applications have: one that keeps a column up to date, and one that writes elsewhere. */
export async function makeTriggers(sql: Sql): Promise<void> {
  await sql`CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW."updatedAt" := now(); RETURN NEW; END $$`
  await sql`CREATE TRIGGER touch BEFORE UPDATE ON assets FOR EACH ROW EXECUTE FUNCTION touch()`
  await sql`CREATE FUNCTION count_comment() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN UPDATE assets SET details = details || '{"commented": true}' WHERE id = NEW.asset_id; RETURN NEW; END $$`
  await sql`CREATE TRIGGER count_comment AFTER INSERT ON comments FOR EACH ROW EXECUTE FUNCTION count_comment()`
}
