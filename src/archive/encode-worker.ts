import { createHash } from 'node:crypto'
import { closeSync, constants, fstatSync, openSync, readlinkSync, readSync } from 'node:fs'
import { constants as zlib, crc32, deflateRawSync } from 'node:zlib'
import { withPath } from '../io/durable.js'
import { enterLane, failureOf } from '../io/lane.js'
import { fillRing } from '../io/ring.js'
import { isWorthDeflating } from './compression.js'
import {
  blockBytes,
  type EncodeReply,
  type EncodeTask,
  type FileToEncode,
  type LaneData,
  type SmallResult
} from './encode-protocol.js'

/*
 * A worker thread that reads, hashes and compresses files. Everything is synchronous: it has nothing else to do, and
 * that is several times faster for small files.
 */
const {
  port,
  data: { root, ring }
} = enterLane<LaneData>()
const slots = fillRing(ring)
const deflatedChunkBytes = 1 << 18
/** No deflate stream is open between blocks, so each is one of its own that is not final; this ends the whole. */
const finalBlock = deflateRawSync(Buffer.alloc(0))

port.on('message', (task: EncodeTask) => {
  try {
    if (task.kind === 'batch') encodeBatch(task.files, task.level)
    else
      naming(task.file, () => {
        encodeLarge(task.file, task.level)
      })
  } catch (error) {
    port.postMessage(failureOf(error))
  }
})

/** All files of the batch in one slot. */
function encodeBatch(files: FileToEncode[], level: number): void {
  const slot = slots.slot()
  let position = 0
  const results = files.map((file): SmallResult | null =>
    naming(file, () => {
      const descriptor = open(file)
      if (descriptor === null) return null
      try {
        const start = position
        const content = slot.subarray(start, start + read(descriptor, slot, start, file.size, 0))
        const known = {
          start,
          crc32: crc32(content),
          size: content.length,
          sha256: createHash('sha256').update(content).digest('hex')
        }
        const changed = hasChanged(descriptor, file)
        if (level > 0 && isWorthDeflating(file.name, content)) {
          const deflated = deflateRawSync(content, { level, chunkSize: Math.max(content.length, zlib.Z_MIN_CHUNK) })
          if (deflated.length < content.length) {
            deflated.copy(slot, start)
            position += deflated.length
            return { ...known, length: deflated.length, deflated: true, changed }
          }
        }
        position += content.length
        return { ...known, length: content.length, deflated: false, changed }
      } finally {
        closeSync(descriptor)
      }
    })
  )
  sendSlot({ kind: 'batch', results })
}

function encodeLarge(file: FileToEncode, level: number): void {
  const descriptor = open(file)
  if (descriptor === null) {
    send({ kind: 'gone' })
    return
  }
  try {
    const hash = createHash('sha256')
    let checksum = 0
    let size = 0
    let deflate: boolean | undefined
    while (size < file.size) {
      const slot = slots.slot()
      const content = slot.subarray(0, read(descriptor, slot, 0, Math.min(blockBytes, file.size - size), size))
      if (content.length === 0) break
      if (deflate === undefined) {
        deflate = level > 0 && isWorthDeflating(file.name, content)
        send({ kind: 'opened', deflated: deflate })
      }
      hash.update(content)
      checksum = crc32(content, checksum)
      size += content.length
      if (deflate)
        sendBlock(deflateRawSync(content, { level, finishFlush: zlib.Z_FULL_FLUSH, chunkSize: deflatedChunkBytes }))
      else sendSlot({ kind: 'block', length: content.length })
    }
    if (deflate === undefined) send({ kind: 'opened', deflated: false })
    if (deflate === true) sendBlock(finalBlock)
    send({ kind: 'end', crc32: checksum, size, sha256: hash.digest('hex'), changed: hasChanged(descriptor, file) })
  } finally {
    closeSync(descriptor)
  }
}

/** A read through a descriptor does not say what it read. */
function naming<T>({ path }: FileToEncode, step: () => T): T {
  try {
    return step()
  } catch (error) {
    throw withPath(error, path)
  }
}

function sendSlot(reply: EncodeReply): void {
  slots.advance()
  send(reply)
}

function sendBlock(block: Buffer): void {
  block.copy(slots.slot())
  sendSlot({ kind: 'block', length: block.length })
}

/**
 * Null when it is gone, no regular file any more, or reached through a link. O_NONBLOCK: a FIFO must not block
 * (open(2)).
 */
function open({ path }: FileToEncode): number | null {
  try {
    const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    if (fstatSync(descriptor).isFile() && isBelowRoot(descriptor)) return descriptor
    closeSync(descriptor)
    return null
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO'].includes((error as NodeJS.ErrnoException).code ?? '')) return null
    throw error
  }
}

/** A folder above the file may have become a link since it was listed; Linux tells what was really opened. */
function isBelowRoot(descriptor: number): boolean {
  if (process.platform !== 'linux') return true
  return readlinkSync(`/proc/self/fd/${descriptor}`).startsWith(`${root}/`)
}

function read(descriptor: number, into: Buffer, start: number, length: number, position: number): number {
  let filled = 0
  while (filled < length) {
    const bytes = readSync(descriptor, into, start + filled, length - filled, position + filled)
    if (bytes === 0) break
    filled += bytes
  }
  return filled
}

function hasChanged(descriptor: number, { size, mtimeMs }: FileToEncode): boolean {
  const now = fstatSync(descriptor)
  return now.size !== size || now.mtime.getTime() !== mtimeMs
}

function send(reply: EncodeReply): void {
  port.postMessage(reply)
}
