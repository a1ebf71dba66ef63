// Compiles everything into build/ for the tests: plain JavaScript, without a look at the types (that is `npm run typecheck`).
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { build } from 'esbuild'

const folders = ['src', 'plugins', 'routes', 'openapi', 'sample', 'scripts', 'bench', 'test']
const filesOf = folder => existsSync(folder) ? readdirSync(folder, { recursive: true }).map(name => `${folder}/${name}`) : []

const sources = folders.flatMap(filesOf).filter(path => path.endsWith('.ts') && !path.endsWith('.d.ts'))
await build({ entryPoints: sources, outdir: 'build', outbase: '.', format: 'esm', platform: 'node', sourcemap: true, logLevel: 'warning' })
// A test that is gone must not run any more.
const made = new Set(sources.map(path => `build/${path.replace(/\.ts$/, '.js')}`))
for (const path of filesOf('build')) if (path.endsWith('.js') && !made.has(path)) rmSync(path)
