import { availableParallelism } from 'node:os'
import { openLane, type Lane } from '../io/lane.js'
import { emptyRing, takeRing, type Slot } from '../io/ring.js'
import {
  blockBytes,
  type EncodeReply,
  type EncodeTask,
  type FileToEncode,
  type LaneData,
  type Measures
} from './encode-protocol.js'
import type { ReadyData } from './zip.js'

/**
 * One file, in the order in which they were given. A large one's blocks must be used up before the next is asked for.
 * The bytes are in memory that is used again: a small file's once the next is asked for, a large one's blocks in their
 * order with each call of `release`.
 */
export type EncodedFile =
  | { kind: 'gone' }
  | { kind: 'small'; ready: ReadyData; sha256: string; changed: boolean }
  | { kind: 'large'; deflated: boolean; blocks: AsyncGenerator<Buffer, LargeResult>; release: () => void }

export type LargeResult = Measures & { changed: boolean }

const batchFiles = 256
const tasksAhead = 2
const mostLanes = Math.min(availableParallelism(), 4)

/**
 * Reads, hashes and compresses files in worker threads, in constant memory, ahead of the one that is being written.
 * @param root absolute and without links; nothing outside it is read
 * @param level zlib's; 0 stores everything
 * @throws the file system's errors, with their code
 */
export async function* encodeFiles(
  files: Iterable<FileToEncode>,
  root: string,
  level: number
): AsyncGenerator<EncodedFile> {
  const lanes: EncodeLane[] = []
  const laneOf = (task: number): EncodeLane => (lanes[task % mostLanes] ??= openEncodeLane(root))
  try {
    const tasks = group(files, level)
    let sent = 0
    let isLast = false
    for (let taken = 0; ; taken += 1) {
      // Task n belongs to lane n modulo lanes, and each lane answers in order, so the whole stays in order.
      for (; !isLast && sent < taken + mostLanes * tasksAhead; sent += 1) {
        const next = tasks.next()
        if (next.done === true) {
          isLast = true
          break
        }
        laneOf(sent).post(next.value)
      }
      if (taken === sent) return
      yield* takeTask(laneOf(taken))
    }
  } finally {
    await Promise.all(
      lanes.map(async lane => {
        await lane.close()
      })
    )
  }
}

function* group(files: Iterable<FileToEncode>, level: number): Generator<EncodeTask> {
  let batch: FileToEncode[] = []
  let bytes = 0
  for (const file of files) {
    const isLarge = file.size > blockBytes
    if (batch.length > 0 && (isLarge || bytes + file.size > blockBytes || batch.length === batchFiles)) {
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

async function* takeTask(lane: EncodeLane): AsyncGenerator<EncodedFile> {
  const reply = await lane.next()
  if (reply.kind === 'gone') {
    yield { kind: 'gone' }
  } else if (reply.kind === 'opened') {
    const held: Slot[] = []
    yield {
      kind: 'large',
      deflated: reply.deflated,
      blocks: takeBlocks(lane, held),
      release: () => {
        held.shift()?.release()
      }
    }
  } else if (reply.kind === 'batch') {
    const slot = lane.nextSlot()
    for (const result of reply.results) {
      if (result === null) {
        yield { kind: 'gone' }
        continue
      }
      const { start, length, deflated, crc32, size, sha256, changed } = result
      yield {
        kind: 'small',
        ready: { data: slot.bytes.subarray(start, start + length), deflated, crc32, size },
        sha256,
        changed
      }
    }
    slot.release()
  } else {
    throw new Error(`Unexpected reply from a worker: ${reply.kind}`)
  }
}

async function* takeBlocks(lane: EncodeLane, held: Slot[]): AsyncGenerator<Buffer, LargeResult> {
  for (;;) {
    const reply = await lane.next()
    if (reply.kind === 'end') return reply
    if (reply.kind !== 'block') throw new Error(`Unexpected reply from a worker: ${reply.kind}`)
    const slot = lane.nextSlot()
    held.push(slot)
    yield slot.bytes.subarray(0, reply.length)
  }
}

interface EncodeLane extends Lane<EncodeTask, EncodeReply> {
  /** The slot that the last reply was about. To be called once for each. */
  nextSlot(): Slot
}

function openEncodeLane(root: string): EncodeLane {
  const ring = takeRing()
  const filled = emptyRing(ring)
  const workerData: LaneData = { root, ring }
  const lane = openLane<EncodeTask, EncodeReply>('./encode-worker', import.meta.url, workerData)
  return {
    ...lane,
    nextSlot: filled.next,
    async close() {
      await lane.close()
      filled.close()
    }
  }
}
