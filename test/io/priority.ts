import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'

const module = JSON.stringify(new URL('../../src/io/priority.js', import.meta.url).href)
/** In a process of its own, whose threads the call changes. */
const program = `
  import { readdirSync } from 'node:fs'
  import { stat } from 'node:fs/promises'
  import { getPriority } from 'node:os'
  import { letThreadsGiveWay } from ${module}
  await letThreadsGiveWay()
  await Promise.all(Array.from({ length: 20 }, async () => await stat('/')))
  const others = readdirSync('/proc/self/task').map(Number).filter(thread => thread !== process.pid)
  console.log(JSON.stringify({ main: getPriority(process.pid), others: others.map(thread => getPriority(thread)) }))
`

t.test('the threads of Node.js give way to the main thread', { skip: process.platform === 'linux' ? false : 'elsewhere a priority is that of the process' }, async t => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', './scripts/typescript.mjs', '--input-type=module', '--eval', program])
  const { main, others } = JSON.parse(stdout) as { main: number, others: number[] }
  // Four of the pool that reads and writes files (UV_THREADPOOL_SIZE), and V8's.
  t.ok(others.length > 4)
  t.same(others.filter(priority => priority <= main), [])
})
