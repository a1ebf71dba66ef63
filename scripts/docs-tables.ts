import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { statusOf } from '../plugins/error-status.js'
import { Environment, type Variable } from '../src/environment.js'
import { errorCatalogue, type ErrorCode } from '../src/errors.js'
import { projectDir } from './project.js'

/** The pages with a table that the code says, and its rows. */
const tables: Record<string, () => string[]> = {
  'docs/configure.md': () => [
    '| variable | default | meaning |',
    '|---|---|---|',
    ...Object.entries(Environment.properties as unknown as Record<string, Variable>).map(
      ([name, { default: fallback, description, secret }]) =>
        `| \`${name}\`${secret === true ? ' *' : ''} | ${fallback === undefined ? '' : `\`${String(fallback)}\``} | ${description} |`
    )
  ],
  'docs/errors.md': () => [
    '| code | status | what to do |',
    '|---|---|---|',
    ...Object.entries(errorCatalogue).map(
      ([code, remedy]) => `| \`${code}\` | ${statusOf[code as ErrorCode]} | ${remedy} |`
    )
  ]
}

/**
 * Each page with its table as the code has it, beside the page as it is now.
 * @throws Error when a page has lost its place for the table
 */
export async function renderPages(): Promise<Array<{ path: string; now: string; rendered: string }>> {
  return await Promise.all(
    Object.entries(tables).map(async ([path, rows]) => {
      const now = await readFile(join(projectDir, path), 'utf8')
      const [, before, after] = /^(.*<!-- written by npm run docs -->\n).*?(<!-- end -->\n.*)$/s.exec(now) ?? []
      if (before === undefined || after === undefined) throw new Error(`${path} has no place for its table.`)
      return { path, now, rendered: `${before}${rows().join('\n')}\n${after}` }
    })
  )
}
