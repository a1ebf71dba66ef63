import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'

const address = (module: string): string => JSON.stringify(new URL(module, import.meta.url).href)
/** In a process of its own, whose threads the call changes. */
const program = `
  import { stat } from 'node:fs/promises'
  import { getPriority } from 'node:os'
  import { letThreadsGiveWay } from ${address('../../src/io/priority.js')}
  import { threadPriorities } from ${address('../support/traces.js')}
  await letThreadsGiveWay()
  await Promise.all(Array.from({ length: 20 }, async () => await stat('/')))
  console.log(JSON.stringify({ main: getPriority(process.pid), others: threadPriorities() }))
`

t.test(
  'the threads of Node.js give way to the main thread',
  { skip: process.platform === 'linux' ? false : 'elsewhere a priority is that of the process' },
  async t => {
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program])
    const { main, others } = JSON.parse(stdout) as { main: number; others: number[] }
    // Four of the pool that reads and writes files (UV_THREADPOOL_SIZE), and V8's.
    t.ok(others.length > 4)
    t.same(
      others.filter(priority => priority <= main),
      []
    )
  }
)
