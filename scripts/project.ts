import { createRequire } from 'node:module'
import { dirname, extname } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The project's folder, for the sources as for what was compiled of them, which lies in a folder of it. */
export const projectDir = dirname(createRequire(import.meta.url).resolve('#package'))

/**
 * What Node.js is given to run a module of the project as a process of its own, the way this one runs: compiled or as
 * it stands.
 * @param module such as `src/server`
 */
export function nodeArguments(module: string): string[] {
  return [...process.execArgv, fileURLToPath(new URL(`../${module}${extname(import.meta.filename)}`, import.meta.url))]
}
