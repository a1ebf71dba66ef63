import { availableParallelism } from 'node:os'
import { openLane, type Lane } from '../io/lane.js'
import type { FileOwner } from '../storage/strategy.js'
import type { ExtractData, ExtractReply, ExtractTask, FileToExtract } from './extract-protocol.js'

const batchBytes = 4 << 20
const batchFiles = 128
const mostLanes = 4

export interface EntriesToExtract<Entry> {
  /** The archive's, open until this has ended. */
  descriptor: number
  files: readonly Entry[]
  /** Asked when it is a file's turn. */
  describe: (file: Entry) => FileToExtract
  owner: FileOwner | null
  signal: AbortSignal
  /** Told the bytes as they are written. */
  onBytes: (bytes: number) => void
}

/**
 * Takes files out of an archive in worker threads.
 * @throws AppError CHECKSUM_MISMATCH, ARCHIVE_INVALID; the file system's errors with their code; the reason of the
 * signal
 */
export async function extractEntries<Entry extends { size: number }>({
  descriptor,
  files,
  describe,
  owner,
  signal,
  onBytes
}: EntriesToExtract<Entry>): Promise<void> {
  const batches = group(files)
  const workerData: ExtractData = { descriptor, owner }
  const failed = new AbortController()
  const either = AbortSignal.any([signal, failed.signal])

  async function work(take: () => Entry[] | undefined): Promise<void> {
    let lane: Lane<ExtractTask, ExtractReply> | undefined
    // One file can take minutes.
    const stop = (): void => {
      void lane?.close()
    }
    either.addEventListener('abort', stop)
    try {
      for (let batch = take(); batch !== undefined; batch = take()) {
        either.throwIfAborted()
        lane ??= openLane<ExtractTask, ExtractReply>('./extract-worker', import.meta.url, workerData)
        lane.post({ files: batch.map(describe) })
        for (let isDone = false; !isDone;) {
          const { kind, bytes } = await lane.next()
          onBytes(bytes)
          isDone = kind === 'extracted'
        }
      }
    } catch (error) {
      failed.abort(error)
      throw error
    } finally {
      either.removeEventListener('abort', stop)
      await lane?.close()
    }
  }

  // From both ends: threads that make files in the same folder wait for one another.
  const ends = [() => batches.shift(), () => batches.pop()]
  const lanes = Math.min(availableParallelism(), mostLanes)
  await Promise.allSettled(
    Array.from({ length: lanes }, async (_, index) => {
      await work(ends[index % 2]!)
    })
  )
  either.throwIfAborted()
}

function group<Entry extends { size: number }>(files: readonly Entry[]): Entry[][] {
  const batches: Entry[][] = []
  let batch: Entry[] = []
  let bytes = 0
  for (const file of files) {
    if (batch.length > 0 && (bytes + file.size > batchBytes || batch.length === batchFiles)) {
      batches.push(batch)
      batch = []
      bytes = 0
    }
    batch.push(file)
    bytes += file.size
  }
  if (batch.length > 0) batches.push(batch)
  return batches
}
