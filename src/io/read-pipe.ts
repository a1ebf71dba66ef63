import { openLane } from './lane.js'
import { emptyRing, takeRing, type Ring } from './ring.js'

export interface ReadPipeData {
  descriptor: number
  ring: Ring
}
export type ReadPipeReply = { kind: 'filled'; length: number } | { kind: 'end' }

/**
 * Reads a pipe in a thread of its own, to its end, in blocks of about 1 MiB. The memory of each is used again once the
 * next is asked for. Only the end of the program that writes can interrupt it.
 */
export async function* readPipe(descriptor: number): AsyncGenerator<Buffer> {
  const ring = takeRing()
  const workerData: ReadPipeData = { descriptor, ring }
  const lane = openLane<never, ReadPipeReply>('./read-pipe-worker', import.meta.url, workerData)
  const filled = emptyRing(ring)
  try {
    for (let reply = await lane.next(); reply.kind === 'filled'; reply = await lane.next()) {
      const { bytes, release } = filled.next()
      yield bytes.subarray(0, reply.length)
      release()
    }
  } finally {
    await lane.close()
    filled.close()
  }
}
