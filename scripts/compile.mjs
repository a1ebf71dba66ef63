// Compiles to plain JavaScript, without a look at the types (that is `npm run typecheck`): everything into build/ for the
// tests, or what is named, as in `node scripts/compile.mjs dist src plugins routes`.
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { build } from 'esbuild'

const [target = 'build', ...named] = process.argv.slice(2)
const folders = named.length > 0 ? named : ['src', 'plugins', 'routes', 'openapi', 'sample', 'scripts', 'bench', 'test']
const filesOf = folder => existsSync(folder) ? readdirSync(folder, { recursive: true }).map(name => `${folder}/${name}`) : []

const sources = folders.flatMap(filesOf).filter(path => path.endsWith('.ts') && !path.endsWith('.d.ts'))
await build({ entryPoints: sources, outdir: target, outbase: '.', format: 'esm', platform: 'node', sourcemap: true, logLevel: 'warning' })
// A test that is gone must not run any more.
const made = new Set(sources.map(path => `${target}/${path.replace(/\.ts$/, '.js')}`))
for (const path of filesOf(target)) if (path.endsWith('.js') && !made.has(path)) rmSync(path)
