import { readSync } from 'node:fs'
import { enterLane, failureOf } from './lane.js'
import type { ReadPipeData, ReadPipeReply } from './read-pipe.js'
import { fillRing } from './ring.js'

/* A worker thread that waits in read(2), which costs a fraction of being told of each 64 KiB that a pipe holds. */
const {
  port,
  data: { descriptor, ring }
} = enterLane<ReadPipeData>()
const slots = fillRing(ring)

try {
  for (let isEnd = false; !isEnd;) {
    const slot = slots.slot()
    let length = 0
    while (length < slot.length && !isEnd) {
      const bytes = readSync(descriptor, slot, length, slot.length - length, null)
      length += bytes
      isEnd = bytes === 0
    }
    if (length > 0) {
      slots.advance()
      reply({ kind: 'filled', length })
    }
  }
  reply({ kind: 'end' })
} catch (error) {
  port.postMessage(failureOf(error))
}

function reply(message: ReadPipeReply): void {
  port.postMessage(message)
}
