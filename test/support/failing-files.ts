import fs from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'

type Call = (...args: unknown[]) => unknown

/** What the file layer is to do: nothing, fail its nth call with a system error, or write less than it is given. */
export type FileFault = { kind: 'none' } | { kind: 'fail'; at: number; code: string } | { kind: 'short' }

export interface FailingFiles {
  /** Runs `work` with the fault; answers the calls that it made below the folder. */
  during(folder: string, fault: FileFault, work: () => Promise<void>): Promise<string[]>
}

const pathCalls = [
  'open',
  'rename',
  'mkdir',
  'rm',
  'readdir',
  'readFile',
  'lstat',
  'access',
  'statfs',
  'realpath',
  'readlink'
] as const
const handleCalls = ['sync', 'write', 'writev', 'writeFile', 'appendFile', 'truncate', 'stat', 'read', 'chmod'] as const

/** Puts a layer between this process and its files, for calls below one folder at a time; others go through. */
export async function installFailingFiles(): Promise<FailingFiles> {
  let active: { folder: string; fault: FileFault; calls: string[] } | null = null
  const handles = new WeakSet()

  function reach(name: string): void {
    if (active === null) return
    active.calls.push(name)
    const { fault, calls } = active
    if (fault.kind === 'fail' && calls.length === fault.at)
      throw Object.assign(new Error(`${fault.code}: made up by a test, ${name}`), { code: fault.code })
  }
  const isMeant = (path: unknown): boolean =>
    active !== null && typeof path === 'string' && path.startsWith(active.folder)

  const promises = fs.promises as unknown as Record<string, Call>
  for (const name of pathCalls) {
    const original = promises[name] as Call
    promises[name] = async (...args: unknown[]) => {
      const meant = isMeant(args[0])
      if (meant) reach(name)
      const result = await original(...args)
      if (meant && name === 'open') handles.add(result as object)
      return result
    }
  }

  const handle: FileHandle = await fs.promises.open('/dev/null')
  const prototype = Object.getPrototypeOf(handle) as Record<string, Call>
  await handle.close()
  for (const name of handleCalls) {
    const original = prototype[name] as Call
    prototype[name] = async function (this: object, ...args: unknown[]) {
      if (!handles.has(this)) return await original.apply(this, args)
      reach(`file.${name}`)
      if (active?.fault.kind !== 'short') return await original.apply(this, args)
      const result = (await original.apply(this, shortened(name, args))) as object
      // Node goes on from the buffers that it is told back.
      return name === 'writev' ? { ...result, buffers: args[0] } : result
    }
  }
  syncBuiltinESMExports()

  return {
    async during(folder, fault, work) {
      active = { folder, fault, calls: [] }
      try {
        await work()
        return active.calls
      } finally {
        active = null
      }
    }
  }
}

/** Less than was asked for, as write(2) may do; never nothing. */
function shortened(name: string, args: unknown[]): unknown[] {
  if (name === 'write' && args[0] instanceof Uint8Array) {
    const [buffer, offset = 0, length = buffer.byteLength - offset, ...rest] = args as [
      Uint8Array,
      number?,
      number?,
      ...unknown[]
    ]
    return [buffer, offset, Math.max(1, length >> 1), ...rest]
  }
  if (name === 'writev') {
    const [[first], ...rest] = args as [Uint8Array[], ...unknown[]]
    return [first === undefined ? [] : [first.subarray(0, Math.max(1, first.byteLength >> 1))], ...rest]
  }
  return args
}
