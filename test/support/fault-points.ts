import fs from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import net from 'node:net'

/**
 * What a process is to do to itself at one of its points: each change of the file system and each message to PostgreSQL
 * has a point before and one after it. Production code knows nothing of this.
 */
export type Fault =
  | { kind: 'none' }
  | { kind: 'kill'; at: number; /** Points count from the first whose name holds this. */ from?: string }
  | { kind: 'fail'; at: number; code: string }

type Call = (...args: unknown[]) => unknown

const folderCalls = ['open', 'rename', 'mkdir', 'rm', 'chmod', 'lchown', 'utimes', 'readFile'] as const
const handleCalls = [
  'sync',
  'write',
  'appendFile',
  'writeFile',
  'truncate',
  'chmod',
  'chown',
  'utimes',
  'close'
] as const

/** Patches this process; the names of the points that are reached are appended to what it returns. */
export async function installFaults(fault: Fault): Promise<string[]> {
  const points: string[] = []
  let counted = 0

  function reach(name: string): void {
    points.push(name)
    if (fault.kind !== 'kill') return
    if (counted > 0 || name.includes(fault.from ?? '')) counted += 1
    if (counted === fault.at) process.kill(process.pid, 'SIGKILL')
  }

  function failing(): Error | null {
    return fault.kind === 'fail' && points.length === fault.at
      ? Object.assign(new Error(`${fault.code}: made up by a test ${points.at(-1) ?? ''}`), { code: fault.code })
      : null
  }

  function patch(target: Record<string, Call>, name: string, label: string): void {
    const original = target[name] as Call
    target[name] = async function (this: unknown, ...args: unknown[]) {
      const what = `${label} ${typeof args[0] === 'string' ? args[0].split('/').slice(-2).join('/') : ''}`
      reach(`before ${what}`)
      const error = failing()
      if (error !== null) throw error
      const result = await original.apply(this, args)
      reach(`after ${what}`)
      return result
    }
  }

  const handle: FileHandle = await fs.promises.open('/dev/null')
  const prototype = Object.getPrototypeOf(handle) as Record<string, Call>
  await handle.close()
  const promises = fs.promises as unknown as Record<string, Call>
  for (const name of folderCalls) patch(promises, name, name)
  for (const name of handleCalls) patch(prototype, name, `file.${name}`)

  const socket = net.Socket.prototype as unknown as Record<'write', (this: net.Socket, ...args: unknown[]) => boolean>
  const { write } = socket
  socket.write = function (...args) {
    // Pipes of child processes are sockets too; only what goes to PostgreSQL has a remote address.
    if (this.remoteAddress === undefined) return write.apply(this, args)
    const what = `message ${printable(args[0])}`
    reach(`before ${what}`)
    const error = failing()
    if (error !== null) {
      this.destroy(error)
      return false
    }
    const result = write.apply(this, args)
    reach(`after ${what}`)
    return result
  }
  syncBuiltinESMExports()
  return points
}

function printable(data: unknown): string {
  return String(data)
    .replaceAll(/[^ -~]+/g, ' ')
    .trim()
    .slice(0, 40)
}
