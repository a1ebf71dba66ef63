import { on } from 'node:events'
import { extname } from 'node:path'
import { parentPort, Worker, workerData, type MessagePort, type ResourceLimits } from 'node:worker_threads'
import { AppError, type AppErrorOptions, type ErrorCode } from '../errors.js'
import { giveWay } from './priority.js'

/** A worker thread that answers its tasks in order. */
export interface Lane<Task, Reply> {
  /** The memory of `transfer` goes with it. */
  post(task: Task, transfer?: ArrayBuffer[]): void
  /**
   * @throws the failure that the worker replied with, an AppError or one with its `code`; Error when the worker has
   * ended
   */
  next(): Promise<Reply>
  /** Ends the thread, whatever it is doing. */
  close(): Promise<void>
}

/** How a worker says that a task has failed; an Error itself would lose its code on the way. */
export interface Failure {
  kind: 'failed'
  code: string | undefined
  message: string
  /** Of an error of the file system. */
  path?: string | undefined
  /** Of an AppError, which would not be one any more on the other side. */
  refusal?: AppErrorOptions & { reason: string }
}

/**
 * A thread keeps a few blocks, outside its heap: a small heap is swept early, and what a large one lets lie adds up.
 */
const smallHeap: ResourceLimits = { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 128 }

/**
 * Starts a worker thread. Nothing of the environment reaches it.
 * @param module the worker's module without its extension, which is that of `caller`: both run compiled, or as
 * TypeScript
 * @param caller import.meta.url of who starts it
 * @param resourceLimits V8's; small unless given
 */
export function openLane<Task, Reply extends { kind: string }>(
  module: string,
  caller: string,
  workerData: unknown,
  resourceLimits: ResourceLimits = smallHeap
): Lane<Task, Reply> {
  const extension = extname(caller)
  // What was preloaded into this process for its own sake, as test runners do, would be loaded into each thread too,
  // for half a second. Only TypeScript needs its loader.
  const start =
    extension === '.ts' ? {} : { env: {}, execArgv: process.sourceMapsEnabled ? ['--enable-source-maps'] : [] }
  const worker = new Worker(new URL(`${module}${extension}`, caller), { workerData, resourceLimits, ...start })
  const replies = on(worker, 'message', { close: ['exit'] })
  return {
    post(task, transfer = []) {
      worker.postMessage(task, transfer)
    },
    async next() {
      const { value, done } = (await replies.next()) as IteratorResult<[Reply | Failure], undefined>
      if (done === true || value === undefined) throw new Error('A worker thread ended unexpectedly.')
      const [reply] = value
      if (reply.kind === 'failed') {
        const { code, message, path, refusal } = reply as Failure
        if (refusal !== undefined) throw new AppError(code as ErrorCode, refusal.reason, message, refusal)
        throw Object.assign(new Error(message), { code, ...(path === undefined ? {} : { path }) })
      }
      return reply as Reply
    },
    async close() {
      await worker.terminate()
    }
  }
}

/**
 * For a worker to begin with: who it answers, and what it was started with. From here on it gives way to the main
 * thread.
 */
export function enterLane<Data>(): { port: MessagePort; data: Data } {
  giveWay()
  return { port: parentPort as MessagePort, data: workerData as Data }
}

/** What a worker replies when a task throws. */
export function failureOf(error: unknown): Failure {
  const { code, message, path } = error as NodeJS.ErrnoException
  if (!(error instanceof AppError)) return { kind: 'failed', code, message, path }
  const { reason, remedy, errors, cause } = error
  return { kind: 'failed', code, message, refusal: { reason, remedy, errors, cause } }
}

/** The same bytes in memory that may be handed to another thread. */
export function own(bytes: Buffer): Uint8Array<ArrayBuffer> {
  return (isOwn(bytes) ? bytes : new Uint8Array(bytes)) as Uint8Array<ArrayBuffer>
}

/** Whether the bytes have their memory for themselves: a small Buffer is a part of a pool, which all share. */
export function isOwn(bytes: Buffer): boolean {
  return bytes.byteLength === bytes.buffer.byteLength
}
