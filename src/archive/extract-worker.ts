import { createHash } from 'node:crypto'
import { closeSync, fchmodSync, fchownSync, futimesSync, openSync, readSync, writeSync } from 'node:fs'
import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import { crc32, inflateRawSync } from 'node:zlib'
import { failureOf } from '../io/lane.js'
import { inTheWay, type ExtractData, type ExtractTask, type FileToExtract } from './extract-protocol.js'

/*
 * A worker thread that takes small files out of an archive: checks, inflates, hashes and writes them. Everything is
 * synchronous: it has nothing else to do, and that is several times faster for small files.
 */
const port = parentPort as MessagePort
const { descriptor: archive, owner } = workerData as ExtractData

port.on('message', ({ files }: ExtractTask) => {
  try {
    for (const file of files) extract(file)
    port.postMessage({ kind: 'extracted' })
  } catch (error) {
    port.postMessage(failureOf(error))
  }
})

function extract (file: FileToExtract): void {
  const content = decode(file, readExtent(file))
  const target = create(file)
  try {
    for (let written = 0; written < content.length;) written += writeSync(target, content, written)
    if (owner !== null) fchownSync(target, owner.uid, owner.gid)
    fchmodSync(target, file.mode)
    futimesSync(target, file.seconds, file.seconds)
  } finally {
    closeSync(target)
  }
}

function create ({ path, name }: FileToExtract): number {
  try {
    return openSync(path, 'wx', 0o600)
  } catch (error) {
    if (!inTheWay.has((error as NodeJS.ErrnoException).code ?? '')) throw error
    throw refusal('IN_THE_WAY', name)
  }
}

/** The entry with all that belongs to it: local header, data, data descriptor. */
function readExtent ({ start, header, compressedSize, trailer, name }: FileToExtract): Buffer {
  const extent = Buffer.allocUnsafe(header.length + compressedSize + trailer.length)
  let filled = 0
  while (filled < extent.length) {
    const bytes = readSync(archive, extent, filled, extent.length - filled, start + filled)
    if (bytes === 0) throw refusal('DAMAGED', name)
    filled += bytes
  }
  return extent
}

function decode (file: FileToExtract, extent: Buffer): Buffer {
  const { header, trailer, compressedSize, deflated, size, name } = file
  const data = extent.subarray(header.length, header.length + compressedSize)
  if (!extent.subarray(0, header.length).equals(header) || !extent.subarray(header.length + compressedSize).equals(trailer)) {
    throw refusal('HEADERS_DISAGREE', name)
  }
  const content = deflated ? inflate(data, size, name) : data
  if (content.length !== size || crc32(content) !== file.crc32) throw refusal('DAMAGED', name)
  if (createHash('sha256').update(content).digest('hex') !== file.sha256) throw refusal('DAMAGED', name)
  return content
}

/** Never more than the entry says that it holds, and from all of its data. */
function inflate (data: Buffer, size: number, name: string): Buffer {
  try {
    const { buffer, engine } = inflateRawSync(data, { maxOutputLength: Math.max(size, 1), info: true }) as unknown as { buffer: Buffer, engine: { bytesWritten: number } }
    if (engine.bytesWritten !== data.length) throw refusal('DAMAGED', name)
    return buffer
  } catch {
    throw refusal('DAMAGED', name)
  }
}

function refusal (code: 'DAMAGED' | 'HEADERS_DISAGREE' | 'IN_THE_WAY', name: string): Error {
  return Object.assign(new Error(name), { code })
}
