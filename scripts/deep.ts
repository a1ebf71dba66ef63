import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { projectDir } from './project.js'

const help = `Runs the long randomized, crash and volume tests of test/deep, two at a time, for about so many minutes.

  npm run test:deep -- --minutes 10   how long (default 10); a test that takes no seeds runs once, however long it takes
  npm run test:deep -- --seed 7       repeats the choices of an earlier run (default: others each time)
`
const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string' },
    help: { type: 'boolean', short: 'h' }
  }
})
const minutes = Number(options.minutes)
const seed = Number(options.seed ?? Math.floor(Date.now() / 1000))
if (options.help === true) {
  console.log(help)
} else if (!(minutes > 0) || !Number.isSafeInteger(seed)) {
  console.error(`--minutes takes a number above 0, and --seed a whole number.\n\n${help}`)
  process.exitCode = 2
} else {
  process.exitCode = await run()
}

async function run(): Promise<number> {
  const jobs = 2
  const folder = 'build/test/deep'
  const files = (await readdir(path.join(projectDir, folder)))
    .filter(name => name.endsWith('.js'))
    .map(name => `${folder}/${name}`)
  const seconds = Math.ceil((minutes * 60 * jobs) / files.length)
  console.log(`${files.length} files, ${seconds} s each, from seed ${seed}`)
  // The last seed is begun before the time is over, and may take long on a slow machine.
  const child = spawn('tap', [`--jobs=${jobs}`, `--timeout=${seconds + 900}`, ...files], {
    cwd: projectDir,
    stdio: 'inherit',
    env: { ...process.env, DEEP_SECONDS: String(seconds), DEEP_SEED: String(seed) }
  })
  const [code] = (await once(child, 'exit')) as [number | null]
  return code ?? 1
}
