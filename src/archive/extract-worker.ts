import { createHash } from 'node:crypto'
import { closeSync, fchmodSync, fchownSync, ftruncateSync, futimesSync, openSync, readSync, writeSync } from 'node:fs'
import { crc32, inflateRawSync } from 'node:zlib'
import { systemCode } from '../errors.js'
import { fileError, withPath } from '../io/durable.js'
import { enterLane, failureOf, type Failure } from '../io/lane.js'
import { blockBytes } from './encode-protocol.js'
import type { ExtractData, ExtractReply, ExtractTask, FileToExtract } from './extract-protocol.js'
import { readEntry } from './read-entry.js'
import { invalid, mismatch, printable } from './refusal.js'

/*
 * A worker thread that takes files out of an archive: checks, inflates, hashes and writes them. What can be is
 * synchronous: it has nothing else to do, and that is several times faster for small files.
 */
const {
  port,
  data: { descriptor: archive, owner }
} = enterLane<ExtractData>()
const source = {
  read: async (target: Buffer, offset: number, length: number, position: number) => ({
    bytesRead: readArchive(target, offset, length, position)
  })
}
/** Small enough for the processor's cache, where a block is read, hashed and written from. */
const block = Buffer.allocUnsafe(1 << 18)
/** How a file system answers when what an entry needs is there already as something else: names that are one to it. */
const inTheWay: ReadonlySet<string> = new Set(['EEXIST', 'ENOENT', 'ENOTDIR', 'EISDIR'])

port.on('message', ({ files }: ExtractTask) => {
  void extractAll(files)
})

async function extractAll(files: FileToExtract[]): Promise<void> {
  let bytes = 0
  try {
    for (const file of files) {
      try {
        if (file.size > blockBytes) await extractInBlocks(file)
        else extractWhole(file)
      } catch (error) {
        throw withPath(error, file.path)
      }
      if (file.size <= blockBytes) bytes += file.size
    }
    reply({ kind: 'extracted', bytes })
  } catch (error) {
    reply(failureOf(error))
  }
}

function reply(message: ExtractReply | Failure): void {
  port.postMessage(message)
}

function extractWhole(file: FileToExtract): void {
  const content = decode(file, readExtent(file))
  const target = create(file)
  try {
    writeAt(target, content, 0)
    finish(target, file)
  } finally {
    closeSync(target)
  }
}

async function extractInBlocks(file: FileToExtract): Promise<void> {
  const target = create(file)
  try {
    let end = 0
    for await (const content of readEntry(source, file, block)) {
      if (!isAllZeros(content)) writeAt(target, content, end)
      end += content.length
      reply({ kind: 'written', bytes: content.length })
    }
    // Zeros that were not written are holes; those at the end need the length.
    ftruncateSync(target, end)
    finish(target, file)
  } finally {
    closeSync(target)
  }
}

function finish(target: number, { mode, seconds }: FileToExtract): void {
  if (owner !== null) fchownSync(target, owner.uid, owner.gid)
  fchmodSync(target, mode)
  futimesSync(target, seconds, seconds)
}

function isAllZeros(content: Buffer): boolean {
  return content[0] === 0 && content.compare(content, 1, content.length, 0, content.length - 1) === 0
}

function writeAt(target: number, content: Buffer, position: number): void {
  for (let written = 0; written < content.length;)
    written += writeSync(target, content, written, content.length - written, position + written)
}

function create({ path, name }: FileToExtract): number {
  try {
    return openSync(path, 'wx', 0o600)
  } catch (error) {
    if (!inTheWay.has(systemCode(error) ?? '')) throw error
    throw invalid('entry-in-the-way', `${printable(name)} stands in another entry's way`, error)
  }
}

/** What fails here is the archive, and not the file that is made of it. */
function readArchive(target: Buffer, offset: number, length: number, position: number): number {
  try {
    return readSync(archive, target, offset, length, position)
  } catch (error) {
    throw fileError(error, 'REPOSITORY_UNAVAILABLE', 'Reading the archive')
  }
}

/** The entry with all that belongs to it: local header, data, data descriptor. */
function readExtent({ start, header, compressedSize, trailer, name }: FileToExtract): Buffer {
  const extent = Buffer.allocUnsafe(header.length + compressedSize + trailer.length)
  let filled = 0
  while (filled < extent.length) {
    const bytes = readArchive(extent, filled, extent.length - filled, start + filled)
    if (bytes === 0) throw mismatch(name)
    filled += bytes
  }
  return extent
}

function decode(file: FileToExtract, extent: Buffer): Buffer {
  const { header, trailer, compressedSize, deflated, size, name } = file
  const data = extent.subarray(header.length, header.length + compressedSize)
  if (
    !extent.subarray(0, header.length).equals(header) ||
    !extent.subarray(header.length + compressedSize).equals(trailer)
  ) {
    throw invalid('headers-disagree', `the headers of ${printable(name)} disagree`)
  }
  const content = deflated ? inflate(data, size, name) : data
  if (content.length !== size || crc32(content) !== file.crc32) throw mismatch(name)
  if (createHash('sha256').update(content).digest('hex') !== file.sha256) throw mismatch(name)
  return content
}

/** Never more than the entry says that it holds, and from all of its data. */
function inflate(data: Buffer, size: number, name: string): Buffer {
  try {
    const { buffer, engine } = inflateRawSync(data, { maxOutputLength: Math.max(size, 1), info: true }) as unknown as {
      buffer: Buffer
      engine: { bytesWritten: number }
    }
    if (engine.bytesWritten !== data.length) throw mismatch(name)
    return buffer
  } catch {
    throw mismatch(name)
  }
}
