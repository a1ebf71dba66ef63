import { spawn, type ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { compiled } from './project.js'

/** The part of tap's `t` that is needed here. */
interface Test {
  teardown(fn: () => void): unknown
}

export type Server = ChildProcess & { output: () => { stdout: string; stderr: string } }

const server = compiled('src/server.js')

/** Starts the service as a process of its own, killed at teardown. */
export function startServer(t: Test, env: NodeJS.ProcessEnv, ...args: string[]): Server {
  const child = spawn(process.execPath, [server, ...args], { env: { PATH: process.env.PATH, ...env } })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  t.teardown(() => {
    child.kill('SIGKILL')
  })
  return Object.assign(child, { output: () => ({ stdout, stderr }) })
}

/** The address that the service says it listens at. */
export async function addressOf(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new TypeError('no output')
  for await (const line of createInterface({ input: child.stdout })) {
    const [, address] = /Server listening at (http:[^"]+)/.exec(line) ?? []
    if (address !== undefined) return address
  }
  throw new Error('the service ended')
}
