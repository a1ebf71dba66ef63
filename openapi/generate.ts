import { readFile, writeFile } from 'node:fs/promises'
import { renderFiles } from './render.js'

const check = process.argv.includes('--check')

for (const { name, content } of await renderFiles()) {
  const file = new URL(name, import.meta.url)
  if (!check) {
    await writeFile(file, content)
    process.stdout.write(`wrote openapi/${name}\n`)
  } else if ((await readFile(file, 'utf8').catch(() => '')) !== content) {
    process.stderr.write(`openapi/${name} is not what the code says: run npm run openapi, and commit it.\n`)
    process.exitCode = 1
  }
}
