import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { renderPages } from './docs-tables.js'
import { projectDir } from './project.js'

for (const { path, rendered } of await renderPages()) {
  await writeFile(join(projectDir, path), rendered)
  console.log(`wrote ${path}`)
}
