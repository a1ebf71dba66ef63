import type { Sql } from 'postgres'

/**
 * The schema of the sample data set: an asset tracker's, in Prisma's style (quoted camelCase columns, text ids),
 * with one of each thing that a backup must bring back: enum types, a view, a function with a trigger, an identity
 * column and a free sequence, arrays, jsonb, numeric, bytea, dates, a self-reference, join tables, and constraints.
 */
const schema = `
CREATE TYPE "AssetStatus" AS ENUM ('OPERATIONAL', 'MAINTENANCE', 'RETIRED', 'LOST');
CREATE TYPE "UserRole" AS ENUM ('OWNER', 'MANAGER', 'MEMBER', 'VIEWER');

CREATE SEQUENCE asset_number_seq START 1000;

CREATE TABLE organizations (
  id text PRIMARY KEY,
  name text NOT NULL,
  "createdAt" timestamptz NOT NULL
);

CREATE TABLE users (
  id text PRIMARY KEY,
  "organizationId" text NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
  email text NOT NULL UNIQUE,
  "fullName" text NOT NULL,
  role "UserRole" NOT NULL DEFAULT 'MEMBER',
  preferences jsonb NOT NULL DEFAULT '{}',
  "lastLoginAt" timestamptz,
  "isActive" boolean NOT NULL DEFAULT true
);

CREATE TABLE settings (
  "organizationId" text NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
  key text NOT NULL,
  value jsonb NOT NULL,
  PRIMARY KEY ("organizationId", key)
);

CREATE TABLE locations (
  id text PRIMARY KEY,
  "organizationId" text NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
  "parentId" text REFERENCES locations (id) ON DELETE SET NULL,
  name text NOT NULL,
  coordinates point
);

CREATE TABLE assets (
  id text PRIMARY KEY,
  "organizationId" text NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
  "locationId" text REFERENCES locations (id) ON DELETE SET NULL,
  "assigneeId" text REFERENCES users (id) ON DELETE SET NULL,
  number integer NOT NULL DEFAULT nextval('asset_number_seq'),
  name text NOT NULL,
  status "AssetStatus" NOT NULL DEFAULT 'OPERATIONAL',
  "serialNumber" text,
  "purchasePrice" numeric(12, 2) CHECK ("purchasePrice" >= 0),
  "purchasedOn" date,
  specifications jsonb NOT NULL DEFAULT '{}',
  labels text[] NOT NULL DEFAULT '{}',
  fingerprint bytea,
  notes text,
  "createdAt" timestamptz NOT NULL,
  "updatedAt" timestamptz NOT NULL,
  UNIQUE ("organizationId", number)
);
CREATE INDEX "assets_organizationId_status_idx" ON assets ("organizationId", status);
CREATE INDEX assets_specifications_idx ON assets USING gin (specifications);
CREATE INDEX assets_open_idx ON assets ("organizationId") WHERE status <> 'RETIRED';

CREATE TABLE sub_assets (
  id text PRIMARY KEY,
  "assetId" text NOT NULL REFERENCES assets (id) ON DELETE CASCADE,
  "parentId" text REFERENCES sub_assets (id) ON DELETE CASCADE,
  name text NOT NULL
);

CREATE TABLE components (
  id text PRIMARY KEY,
  "assetId" text NOT NULL REFERENCES assets (id) ON DELETE CASCADE,
  "subAssetId" text REFERENCES sub_assets (id) ON DELETE CASCADE,
  name text NOT NULL,
  quantity integer NOT NULL DEFAULT 1 CHECK (quantity > 0),
  "unitPrice" numeric(12, 4)
);

CREATE TABLE warranties (
  id text PRIMARY KEY,
  "assetId" text NOT NULL REFERENCES assets (id) ON DELETE CASCADE,
  provider text NOT NULL,
  covered daterange NOT NULL
);

CREATE TABLE maintenance_events (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  "assetId" text NOT NULL REFERENCES assets (id) ON DELETE CASCADE,
  "performedById" text REFERENCES users (id) ON DELETE SET NULL,
  title text NOT NULL,
  "scheduledFor" timestamptz NOT NULL,
  duration interval,
  cost numeric
);

CREATE TABLE comments (
  id text PRIMARY KEY,
  "assetId" text NOT NULL REFERENCES assets (id) ON DELETE CASCADE,
  "authorId" text NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  body text NOT NULL,
  "createdAt" timestamptz NOT NULL
);

CREATE TABLE attachments (
  id text PRIMARY KEY,
  "organizationId" text NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
  "assetId" text REFERENCES assets (id) ON DELETE CASCADE,
  "fileName" text NOT NULL,
  "mimeType" text NOT NULL,
  "sizeBytes" bigint NOT NULL
);

CREATE TABLE tags (
  id text PRIMARY KEY,
  "organizationId" text NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
  name text NOT NULL,
  UNIQUE ("organizationId", name)
);

-- Prisma names an implicit join table and its columns like this.
CREATE TABLE "_AssetToTag" (
  "A" text NOT NULL REFERENCES assets (id) ON DELETE CASCADE ON UPDATE CASCADE,
  "B" text NOT NULL REFERENCES tags (id) ON DELETE CASCADE ON UPDATE CASCADE,
  PRIMARY KEY ("A", "B")
);

CREATE TABLE asset_watchers (
  "assetId" text NOT NULL REFERENCES assets (id) ON DELETE CASCADE,
  "userId" text NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  since timestamptz NOT NULL,
  PRIMARY KEY ("assetId", "userId")
);

CREATE TABLE audit_log (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  "organizationId" text NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
  action text NOT NULL,
  "entityId" text NOT NULL,
  change jsonb,
  at timestamptz NOT NULL
);

-- What every organization shares.
CREATE TABLE manufacturers (
  id integer PRIMARY KEY,
  name text NOT NULL UNIQUE
);

CREATE VIEW asset_costs AS
  SELECT a.id, a."organizationId", coalesce(a."purchasePrice", 0) + coalesce(sum(e.cost), 0) AS total
  FROM assets a LEFT JOIN maintenance_events e ON e."assetId" = a.id
  GROUP BY a.id;

CREATE FUNCTION log_asset_status () RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO audit_log ("organizationId", action, "entityId", change, at)
  VALUES (new."organizationId", 'asset.status', new.id, jsonb_build_object('from', old.status, 'to', new.status), now());
  RETURN new;
END
$$;

CREATE TRIGGER assets_log_status AFTER UPDATE OF status ON assets
  FOR EACH ROW WHEN (old.status IS DISTINCT FROM new.status) EXECUTE FUNCTION log_asset_status();

COMMENT ON TABLE assets IS 'Things that are owned; '' quotes and ümlauts included';
`

/** Creates the sample schema in the empty `public` schema of the database that `sql` is connected to. */
export async function loadSampleSchema(sql: Sql): Promise<void> {
  await sql.unsafe(schema)
}
