import { Agent, get } from 'node:http'
import { distribution, type Distribution } from '../measure.js'
import { runWatch, startWatch, type Watch } from './watch.js'

interface Settings {
  baseUrl: string
}

const everyMs = 10

/** How long GET /health/live takes, asked every 10 ms whatever has been answered: about the delay of the event loop. */
export async function watchHealth(settings: Settings): Promise<Watch<Distribution>> {
  return await startWatch(import.meta.filename, settings)
}

async function begin({ baseUrl }: Settings): Promise<() => Promise<Distribution>> {
  const agent = new Agent({ keepAlive: true })
  const delays: number[] = []
  const asked = new Set<Promise<void>>()

  async function ask(): Promise<void> {
    const started = performance.now()
    await new Promise<void>((resolve, reject) => {
      get(`${baseUrl}/health/live`, { agent }, answer => answer.resume().once('end', resolve)).once('error', reject)
    })
    delays.push(performance.now() - started)
  }

  await ask()
  delays.length = 0
  const timer = setInterval(() => {
    const asking = ask().finally(() => asked.delete(asking))
    asked.add(asking)
  }, everyMs)

  return async () => {
    clearInterval(timer)
    await Promise.all(asked)
    agent.destroy()
    return distribution(delays)
  }
}

if (process.argv[1] === import.meta.filename) await runWatch(begin)
