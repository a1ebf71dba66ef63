import { createCipheriv } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { Sql } from 'postgres'
import { seededRandom } from '../sample/random.js'

export interface Sizes {
  /** Plain SQL that pg_dump writes, about. */
  databaseMb: number
  /** Bytes in files of 1 to 10 MB that are compressed already. */
  largeMb: number
  /** Number of files of 1 to 20 KB, text and compressed mixed. */
  smallFiles: number
}

/** Whose data it is. */
export const organizationId = 'bench'

const bytesPerRow = 230
const rowsPerBatch = 100_000
const filesPerFolder = 500

/** Rows as an asset tracker has them: ids, names, notes in words, numbers, JSON and times. */
export async function makeDatabase(sql: Sql, { databaseMb }: Sizes): Promise<void> {
  await sql`CREATE TABLE organizations (id text PRIMARY KEY, name text NOT NULL)`
  await sql`INSERT INTO organizations VALUES (${organizationId}, 'Bench')`
  await sql`CREATE TABLE assets (id bigint PRIMARY KEY, "organizationId" text NOT NULL REFERENCES organizations, uid uuid NOT NULL,
    name text NOT NULL, notes text NOT NULL, price numeric(12,2), details jsonb, "createdAt" timestamptz NOT NULL)`
  const rows = Math.round((databaseMb * 1e6) / bytesPerRow)
  await sql`SELECT setseed(0.42)`
  for (let first = 1; first <= rows; first += rowsPerBatch) {
    await sql`
      INSERT INTO assets SELECT n, ${organizationId}, md5(n::text)::uuid, 'Asset ' || n || ' ' || (ARRAY['laptop', 'printer', 'chair', 'camera', 'router'])[1 + n % 5],
        (SELECT string_agg((ARRAY['bought', 'for', 'the', 'office', 'warranty', 'repaired', 'by', 'vendor', 'serial', 'checked'])[1 + (random() * 9)::int], ' ')
          FROM generate_series(1, 8 + (n % 7)::int) WHERE n > 0),
        round((random() * 5000)::numeric, 2), jsonb_build_object('floor', n % 12, 'serial', substr(md5((n * 7)::text), 1, 12)),
        timestamptz '2024-01-01' + n * interval '37 seconds'
      FROM generate_series(${first}::bigint, ${Math.min(first + rowsPerBatch - 1, rows)}::bigint) n`
  }
  await sql`CREATE INDEX ON assets ("organizationId", "createdAt")`
  await sql`ANALYZE`
}

export type Spread = 'newest' | 'anywhere'

/** A day's work: half of these rows are changed, and as many are added. */
export async function changeRows(sql: Sql, { percent, spread }: { percent: number; spread: Spread }): Promise<void> {
  const [{ rows }] = await sql<[{ rows: number }]>`SELECT count(*)::int AS rows FROM assets`
  const half = Math.round((rows * percent) / 200)
  const chosen =
    spread === 'newest'
      ? sql`SELECT id FROM assets ORDER BY id DESC LIMIT ${half}`
      : sql`SELECT id FROM assets ORDER BY md5(id::text || 'chosen') LIMIT ${half}`
  await sql`UPDATE assets SET notes = notes || ' checked again', price = price + 1 WHERE id IN (${chosen})`
  await sql`INSERT INTO assets SELECT id + ${rows}::bigint, "organizationId", md5(uid::text)::uuid, 'New ' || name, notes, price, details, now()
    FROM assets ORDER BY id DESC LIMIT ${half}`
}

/** The uploads: photos and documents that are compressed already, and many small files of both kinds. */
export async function makeFiles(folder: string, { largeMb, smallFiles }: Sizes): Promise<void> {
  const random = seededRandom(7)
  await mkdir(path.join(folder, 'photos'), { recursive: true })
  for (let left = largeMb * 1e6, index = 0; left > 0; index += 1) {
    const size = Math.min(left, 1e6 + random.integer(9e6))
    await writeFile(path.join(folder, 'photos', `photo-${index}.jpg`), noise(index, size))
    left -= size
  }
  await addFiles(folder, { first: 0, count: smallFiles })
}

/** Small files, text and compressed by turns, numbered from `first`. */
export async function addFiles(folder: string, { first, count }: { first: number; count: number }): Promise<void> {
  const random = seededRandom(first + 8)
  const words = 'asset serial warranty invoice office vendor repaired checked laptop printer\n'.repeat(400)
  for (let index = first; index < first + count; index += 1) {
    const inFolder = path.join(folder, 'documents', String(Math.floor(index / filesPerFolder)))
    await mkdir(inFolder, { recursive: true })
    const size = 1000 + random.integer(19_000)
    const content = index % 2 === 0 ? `${index} ${words}`.slice(0, size) : noise(1e6 + index, size)
    await writeFile(path.join(inFolder, index % 2 === 0 ? `note-${index}.txt` : `scan-${index}.png`), content)
  }
}

/** Bytes that can't be compressed or found twice, and are the same in every run: the key stream of AES-CTR. */
function noise(seed: number, size: number): Buffer {
  const nonce = Buffer.alloc(16)
  nonce.writeUInt32LE(seed, 0)
  return createCipheriv('aes-128-ctr', Buffer.alloc(16), nonce).update(Buffer.alloc(size))
}
