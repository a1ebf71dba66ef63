import { availableParallelism } from 'node:os'
import { openLane, type Lane } from '../io/lane.js'
import type { ExtractData, ExtractReply, ExtractTask, FileOwner, FileToExtract } from './extract-protocol.js'

const batchBytes = 4 << 20
const batchFiles = 128
const mostLanes = 4

/**
 * Takes files out of an archive in worker threads.
 * @param descriptor the archive's, open until this has ended
 * @param onBytes told the bytes as they are written
 * @throws AppError CHECKSUM_MISMATCH, ARCHIVE_INVALID; the file system's errors with their code; the reason of `signal`
 */
export async function extractEntries (
  descriptor: number, files: Iterable<FileToExtract>, owner: FileOwner | null, signal: AbortSignal, onBytes: (bytes: number) => void
): Promise<void> {
  const tasks = group(files)
  const workerData: ExtractData = { descriptor, owner }
  const failed = new AbortController()
  const either = AbortSignal.any([signal, failed.signal])

  async function work (): Promise<void> {
    let lane: Lane<ExtractTask, ExtractReply> | undefined
    // One file can take minutes.
    const stop = (): void => { void lane?.close() }
    either.addEventListener('abort', stop)
    try {
      for (const task of tasks) {
        either.throwIfAborted()
        lane ??= openLane<ExtractTask, ExtractReply>('./extract-worker', import.meta.url, workerData)
        lane.post(task)
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

  await Promise.allSettled(Array.from({ length: Math.min(availableParallelism(), mostLanes) }, work))
  either.throwIfAborted()
}

function * group (files: Iterable<FileToExtract>): Generator<ExtractTask, void> {
  let batch: FileToExtract[] = []
  let bytes = 0
  for (const file of files) {
    if (batch.length > 0 && (bytes + file.size > batchBytes || batch.length === batchFiles)) {
      yield { files: batch }
      batch = []
      bytes = 0
    }
    batch.push(file)
    bytes += file.size
  }
  if (batch.length > 0) yield { files: batch }
}
