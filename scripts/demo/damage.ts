import { appendFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { Sql } from 'postgres'

/**
 * A bad day of one organization in the shared database: rows gone, rows overwritten, rows that do not belong. Says what
 * it did.
 */
export async function damageRows(sql: Sql, organizationId: string): Promise<string> {
  const deleted = await sql`DELETE FROM assets WHERE "organizationId" = ${organizationId} AND number % 3 = 0`
  const changed =
    await sql`UPDATE users SET email = 'oops-' || email, role = 'VIEWER' WHERE "organizationId" = ${organizationId}`
  const added =
    await sql`INSERT INTO tags (id, "organizationId", name) SELECT ${organizationId} || '-junk-' || n, ${organizationId}, 'junk ' || n FROM generate_series(1, 40) n`
  return `${deleted.count} assets deleted with all that hangs on them, ${changed.count} users overwritten, ${added.count} junk tags added`
}

/** A bad day in the upload folder: every third file gone, every fifth one overwritten, and one that does not belong. */
export async function damageFiles(folder: string): Promise<string> {
  let deleted = 0
  let overwritten = 0
  for (const [index, name] of (await readdir(folder, { recursive: true })).sort().entries()) {
    const file = path.join(folder, name)
    if (!(await stat(file)).isFile()) continue
    if (index % 3 === 0) {
      await rm(file)
      deleted += 1
    } else if (index % 5 === 0) {
      await appendFile(file, 'garbage')
      overwritten += 1
    }
  }
  await writeFile(path.join(folder, 'ransom-note.txt'), 'All your assets are belong to us\n')
  return `${deleted} files deleted, ${overwritten} overwritten, 1 added`
}
