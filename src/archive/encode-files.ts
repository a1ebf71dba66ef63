import { on } from 'node:events'
import { availableParallelism } from 'node:os'
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { blockBytes, type EncodeReply, type EncodeTask, type FileToEncode, type LaneData, type Measures } from './encode-protocol.js'
import type { ReadyData } from './zip.js'

/** One file, in the order in which they were given. A large one's blocks must be used up before the next is asked for. */
export type EncodedFile =
  | { kind: 'gone' }
  | { kind: 'small', ready: ReadyData, sha256: string, changed: boolean }
  | { kind: 'large', deflated: boolean, blocks: AsyncGenerator<Buffer, LargeResult> }

export type LargeResult = Measures & { changed: boolean }

const batchBytes = 2 << 20
const batchFiles = 256
const tasksAhead = 2
const blocksAhead = 4
const mostLanes = 4

/**
 * Reads, hashes and compresses files in worker threads, in constant memory, ahead of the one that is being written.
 * @param root absolute and without links; nothing outside it is read
 * @param level zlib's; 0 stores everything
 * @throws the file system's errors, with their code
 */
export async function * encodeFiles (files: Iterable<FileToEncode>, root: string, level: number): AsyncGenerator<EncodedFile> {
  const tasks = [...group(files, level)]
  const lanes = Array.from({ length: Math.min(tasks.length, availableParallelism(), mostLanes) }, () => openLane(root))
  try {
    let sent = 0
    for (let taken = 0; taken < tasks.length; taken += 1) {
      // Task n belongs to lane n modulo lanes, and each lane answers in order, so the whole stays in order.
      for (; sent < Math.min(tasks.length, taken + lanes.length * tasksAhead); sent += 1) lanes[sent % lanes.length]!.post(tasks[sent]!)
      yield * takeTask(lanes[taken % lanes.length]!)
    }
  } finally {
    await Promise.all(lanes.map(async lane => { await lane.close() }))
  }
}

function * group (files: Iterable<FileToEncode>, level: number): Generator<EncodeTask> {
  let batch: FileToEncode[] = []
  let bytes = 0
  for (const file of files) {
    const isLarge = file.size > blockBytes
    if (batch.length > 0 && (isLarge || bytes + file.size > batchBytes || batch.length === batchFiles)) {
      yield { kind: 'batch', files: batch, level }
      batch = []
      bytes = 0
    }
    if (isLarge) {
      yield { kind: 'large', file, level }
    } else {
      batch.push(file)
      bytes += file.size
    }
  }
  if (batch.length > 0) yield { kind: 'batch', files: batch, level }
}

async function * takeTask (lane: Lane): AsyncGenerator<EncodedFile> {
  const reply = await lane.next()
  if (reply.kind === 'gone') {
    yield { kind: 'gone' }
  } else if (reply.kind === 'opened') {
    yield { kind: 'large', deflated: reply.deflated, blocks: takeBlocks(lane) }
  } else if (reply.kind === 'batch') {
    const block = Buffer.from(reply.data)
    for (const result of reply.results) {
      if (result === null) {
        yield { kind: 'gone' }
        continue
      }
      const { start, length, deflated, crc32, size, sha256, changed } = result
      yield { kind: 'small', ready: { data: block.subarray(start, start + length), deflated, crc32, size }, sha256, changed }
    }
  } else {
    throw new Error(`Unexpected reply from a worker: ${reply.kind}`)
  }
}

async function * takeBlocks (lane: Lane): AsyncGenerator<Buffer, LargeResult> {
  for (;;) {
    const reply = await lane.next()
    if (reply.kind === 'end') return reply
    if (reply.kind !== 'block') throw new Error(`Unexpected reply from a worker: ${reply.kind}`)
    yield Buffer.from(reply.data, 0, reply.length)
    lane.credit()
  }
}

interface Lane {
  post (task: EncodeTask): void
  next (): Promise<EncodeReply>
  /** Allows one more block of a large file. */
  credit (): void
  close (): Promise<void>
}

function openLane (root: string): Lane {
  const credits = new Int32Array(new SharedArrayBuffer(4))
  credits[0] = blocksAhead
  const workerData: LaneData = { root, credits }
  // The same extension as this module: it may run compiled or as TypeScript.
  const worker = new Worker(new URL(`./encode-worker${extname(import.meta.url)}`, import.meta.url), { workerData })
  const replies = on(worker, 'message', { close: ['exit'] })
  return {
    post (task) { worker.postMessage(task) },
    async next () {
      const { value, done } = await replies.next() as IteratorResult<[EncodeReply], undefined>
      if (done === true || value === undefined) throw new Error('A worker that reads files ended.')
      const [reply] = value
      if (reply.kind === 'failed') throw Object.assign(new Error(reply.message), { code: reply.code })
      return reply
    },
    credit () {
      Atomics.add(credits, 0, 1)
      Atomics.notify(credits, 0)
    },
    async close () { await worker.terminate() }
  }
}
