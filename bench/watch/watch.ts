import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'

export interface Watch<Findings> {
  /** Ends it, and gives what it saw. */
  stop(): Promise<Findings>
}

/** Starts a script of this folder in a process of its own, so that no work of the benchmark delays what it sees. */
export async function startWatch<Settings extends object, Findings>(
  script: string,
  settings: Settings
): Promise<Watch<Findings>> {
  const child = fork(script)
  child.send(settings)
  await answerOf(child)
  return {
    async stop() {
      child.send('stop')
      const findings = await answerOf(child)
      child.disconnect()
      await once(child, 'exit')
      return findings as Findings
    }
  }
}

async function answerOf(child: ChildProcess): Promise<unknown> {
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`A watcher ended with ${String(code)}.`)
  })
  const answered = once(child, 'message').then(([message]) => message as unknown)
  ended.catch(() => {})
  return await Promise.race([answered, ended])
}

/** The other end: `begin` is given the settings, and what it returns is called at the end for the findings. */
export async function runWatch<Settings, Findings>(
  begin: (settings: Settings) => Promise<() => Promise<Findings>>
): Promise<void> {
  // Also when the benchmark fails before it has asked for the findings.
  process.once('disconnect', () => process.exit())
  const [settings] = (await once(process, 'message')) as [Settings]
  const end = await begin(settings)
  process.send!('started')
  await once(process, 'message')
  process.send!(await end())
}
