import { Agent, get, type IncomingMessage } from 'node:http'
import { setTimeout } from 'node:timers/promises'
import { distribution, type Distribution } from './measure.js'

interface Load {
  baseUrl: string
  token: string
  clients: number
  cycles: number
  pauseMs: number
  /** Whose connections are used and kept; its own, unless one is given. */
  agent?: Agent
}

export interface Served {
  /** Calls a second that were answered, of all clients. */
  perSecond: number
  /** Milliseconds to the last byte, by kind of call. */
  calls: Record<string, Distribution>
}

/**
 * Clients that look through the list again and again: its first page, its second, one backup of it; a pause before
 * each.
 */
export async function runClients({ baseUrl, token, clients, cycles, pauseMs, agent: given }: Load): Promise<Served> {
  const agent = given ?? new Agent({ keepAlive: true })
  const taken: Record<string, number[]> = {}

  async function call(kind: string, address: string): Promise<{ body: Buffer; link: string }> {
    // Clients of the real world do not march in step.
    if (pauseMs > 0) await setTimeout(pauseMs * (0.5 + Math.random()))
    const started = performance.now()
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      get(`${baseUrl}${address}`, { agent, headers: { authorization: `Bearer ${token}` } }, resolve).once(
        'error',
        reject
      )
    })
    const chunks: Buffer[] = []
    for await (const chunk of answer) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks)
    if (answer.statusCode !== 200) throw new Error(`${address} answered ${answer.statusCode}: ${body.toString()}`)
    ;(taken[kind] ??= []).push(performance.now() - started)
    return { body, link: String(answer.headers.link ?? '') }
  }

  async function lookThrough(): Promise<void> {
    const first = await call('GET /list, first page', '/api/backup/list')
    const second = await call('GET /list, second page', /<([^>]+)>/.exec(first.link)?.[1] ?? '')
    const [id] = /[0-9a-f-]{36}/.exec(second.body.toString())!
    await call('GET /{backupId}', `/api/backup/${id}`)
  }

  const started = performance.now()
  await Promise.all(
    Array.from({ length: clients }, async () => {
      for (let cycle = 0; cycle < cycles; cycle += 1) await lookThrough()
    })
  )
  const seconds = (performance.now() - started) / 1000
  if (given === undefined) agent.destroy()
  const answered = Object.values(taken).reduce((sum, { length }) => sum + length, 0)
  return {
    perSecond: answered / seconds,
    calls: Object.fromEntries(Object.entries(taken).map(([kind, delays]) => [kind, distribution(delays)]))
  }
}
