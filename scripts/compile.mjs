// Compiles to plain JavaScript, without a look at the types (that is `npm run typecheck`): everything into build/ for
// the tests, or what is named, as in `node scripts/compile.mjs dist src plugins routes`.
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, relative } from 'node:path'
import { build } from 'esbuild'

const [target = 'build', ...named] = process.argv.slice(2)
const folders = named.length > 0 ? named : ['src', 'plugins', 'routes', 'openapi', 'sample', 'scripts', 'bench', 'test']
const filesOf = folder =>
  existsSync(folder) ? readdirSync(folder, { recursive: true }).map(name => `${folder}/${name}`) : []

/**
 * Started again and again, for short work: a worker thread that loads a single file is there in a third of the time.
 */
const isBundled = path => /(-worker|\/crash-child)\.ts$/.test(path)
const sources = folders.flatMap(filesOf).filter(path => path.endsWith('.ts') && !path.endsWith('.d.ts'))
const options = { outdir: target, outbase: '.', format: 'esm', platform: 'node', sourcemap: true, logLevel: 'warning' }
await Promise.all([
  build({ ...options, entryPoints: sources.filter(path => !isBundled(path)) }),
  ...sources.filter(isBundled).map(path =>
    build({
      ...options,
      entryPoints: [path],
      bundle: true,
      // It brings a library of its own for each system.
      external: ['fs-native-extensions'],
      // For packages that are CommonJS.
      banner: {
        js: 'import { createRequire as requireFrom } from "node:module"; const require = requireFrom(import.meta.url);'
      },
      plugins: [ownUrls(path)]
    })
  )
])
// A test that is gone must not run any more.
const made = new Set(sources.map(path => `${target}/${path.replace(/\.ts$/, '.js')}`))
for (const path of filesOf(target)) if (path.endsWith('.js') && !made.has(path)) rmSync(path)

/** A module finds what lies beside it by import.meta.url, which would be the bundle's. */
function ownUrls(bundle) {
  return {
    name: 'own-urls',
    setup({ onLoad }) {
      onLoad({ filter: /\.ts$/ }, ({ path }) => {
        const own = relative(dirname(bundle), path).replace(/\.ts$/, '.js')
        return {
          loader: 'ts',
          contents: readFileSync(path, 'utf8').replaceAll(
            'import.meta.url',
            `new URL(${JSON.stringify(own)}, import.meta.url).href`
          )
        }
      })
    }
  }
}
