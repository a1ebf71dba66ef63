import { appendFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { Sql } from 'postgres'

/** A bad day in the database: rows gone, rows changed, a table and a function dropped. Says what it did. */
export async function damageRows (sql: Sql): Promise<string> {
  const deleted = await sql`DELETE FROM assets WHERE number % 3 = 0`
  const changed = await sql`UPDATE users SET email = 'oops-' || email, role = 'VIEWER'`
  await sql`DROP TABLE comments`
  await sql`DROP FUNCTION log_asset_status CASCADE`
  return `${deleted.count} assets deleted with all that hangs on them, ${changed.count} users overwritten, a table and a trigger function dropped`
}

/** A bad day in the upload folder: every third file gone, every fifth one overwritten, and one that does not belong. */
export async function damageFiles (folder: string): Promise<string> {
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
