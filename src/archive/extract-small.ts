import { availableParallelism } from 'node:os'
import { systemCode } from '../errors.js'
import { openLane, type Lane } from '../io/lane.js'
import type { ExtractData, ExtractReply, ExtractTask, FileOwner, FileToExtract } from './extract-protocol.js'
import { invalid, mismatch, printable } from './refusal.js'

const batchBytes = 4 << 20
const batchFiles = 128
const mostLanes = 4

/**
 * Takes small files out of an archive in worker threads.
 * @param descriptor the archive's, open until this has ended
 * @param onBytes told the bytes as they are written
 * @throws AppError CHECKSUM_MISMATCH, ARCHIVE_INVALID; the file system's errors with their code; the reason of `signal`
 */
export async function extractSmall (
  descriptor: number, files: Iterable<FileToExtract>, owner: FileOwner | null, signal: AbortSignal, onBytes: (bytes: number) => void
): Promise<void> {
  const tasks = group(files)
  const workerData: ExtractData = { descriptor, owner }

  async function work (): Promise<void> {
    let lane: Lane<ExtractTask, ExtractReply> | undefined
    try {
      // The lanes share the tasks, so when one fails and ends them, the others end after their batch.
      for (const task of tasks) {
        signal.throwIfAborted()
        lane ??= openLane<ExtractTask, ExtractReply>('./extract-worker', import.meta.url, workerData)
        lane.post(task)
        await lane.next()
        onBytes(task.files.reduce((sum, { size }) => sum + size, 0))
      }
    } finally {
      tasks.return()
      await lane?.close()
    }
  }

  const ended = await Promise.allSettled(Array.from({ length: Math.min(availableParallelism(), mostLanes) }, work))
  for (const lane of ended) if (lane.status === 'rejected') throw refused(lane.reason)
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

function refused (error: unknown): unknown {
  const code = systemCode(error)
  if (code === 'DAMAGED') return mismatch((error as Error).message)
  if (code === 'HEADERS_DISAGREE') return invalid(`the headers of ${printable((error as Error).message)} disagree`)
  if (code === 'IN_THE_WAY') return invalid(`${printable((error as Error).message)} stands in another entry's way`)
  return error
}
