import { on } from 'node:events'
import { access, constants } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { promisify } from 'node:util'
import { MessageChannel } from 'node:worker_threads'
import { gzip as zlibGzip } from 'node:zlib'
import { pMapIterable } from 'p-map'
import { portableDump } from '../database/portable-dump.js'
import { enterLane, failureOf, isOwn } from '../io/lane.js'
import { replaceInHead } from '../io/pipe.js'
import { runFilter } from '../io/process.js'
import { readPipe } from '../io/read-pipe.js'
import { fillRing } from '../io/ring.js'
import { compressionLevels } from './compression.js'
import { cutByContent, type ContentBlock } from './content-blocks.js'
import { tasksAhead, type GzipReply, type GzipSettings, type GzipTask } from './gzip-protocol.js'

/*
 * A worker thread that compresses a text. What flows through it is garbage outside V8's heap, which makes V8 search the
 * heap every few milliseconds: here that is a small one.
 */
const {
  port,
  data: { compression, igzipPaths, descriptor, head, serverMajor, ring }
} = enterLane<GzipSettings>()
const slots = fillRing(ring)
const gzipBlock = promisify(zlibGzip)
const nowhere = new MessageChannel().port1
nowhere.close()

try {
  const igzip = compression === 'fast' ? await findIgzip() : null
  const compress = chooseCompressor(igzip)
  const compressBlock = async ({ text, release }: ContentBlock): Promise<Member> => ({
    data: await compress(text).finally(release),
    textBytes: text.length
  })
  const read = descriptor === null ? text() : replaceInHead(readPipe(descriptor), head)
  const members = pMapIterable(
    cutByContent(serverMajor === null ? read : portableDump(read, serverMajor)),
    compressBlock,
    { concurrency: igzip === null ? availableParallelism() : 1 }
  )
  let empty = true
  for await (const member of members) {
    empty = false
    sendMember(member)
  }
  if (empty) sendMember({ data: await gzipBlock(Buffer.alloc(0)), textBytes: 0 })
  send({ kind: 'end' })
} catch (error) {
  port.postMessage(failureOf(error))
}

async function* text(): AsyncGenerator<Buffer> {
  const tasks = on(port, 'message') as AsyncIterable<[GzipTask]>
  for (let asked = 0; asked < tasksAhead; asked += 1) send({ kind: 'more' })
  for await (const [{ chunks, isLast }] of tasks) {
    for (const chunk of chunks) yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    if (isLast) return
    send({ kind: 'more' })
  }
}

/** igzip is three to four times as fast as zlib's level 1 at nearly the same size; one at a time outruns any dump. */
function chooseCompressor(found: string | null): (text: Buffer) => Promise<Buffer> {
  let igzip = found
  return async text => {
    try {
      if (igzip !== null) return runFilter(igzip, ['-1', '--stdout', '--no-name'], text)
    } catch (error) {
      igzip = null
      send({ kind: 'fallback', reason: (error as Error).message })
    }
    return await gzipBlock(text, { level: compressionLevels[compression] })
  }
}

/** The path of igzip, or null when it is not installed. */
async function findIgzip(): Promise<string | null> {
  for (const path of igzipPaths) {
    if (
      await access(path, constants.X_OK).then(
        () => true,
        () => false
      )
    )
      return path
  }
  return null
}

interface Member {
  data: Buffer
  textBytes: number
}

function sendMember({ data, textBytes }: Member): void {
  for (let from = 0; from < data.length;) {
    const length = data.copy(slots.slot(), 0, from)
    slots.advance()
    from += length
    send({ kind: 'block', length, textBytes: from === data.length ? textBytes : 0 })
  }
  discard(data)
}

/**
 * V8, which sees how little lies in its heap, would let 30 MB lie outside of it. What is sent nowhere is gone at once.
 */
function discard(bytes: Buffer): void {
  if (isOwn(bytes)) nowhere.postMessage(null, [bytes.buffer as ArrayBuffer])
}

function send(reply: GzipReply): void {
  port.postMessage(reply)
}
