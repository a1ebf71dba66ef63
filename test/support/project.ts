import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { projectDir } from '../../scripts/project.js'

/**
 * @param path of a file of the project, such as `test/fixtures/tenancy/schema.sql`: the tests run from what was
 * compiled, which lies elsewhere
 */
export function projectFile(path: string): string {
  return join(projectDir, path)
}

/** @param path of a compiled module, such as `src/server.js`: what a test starts as a process of its own */
export function compiled(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url))
}
