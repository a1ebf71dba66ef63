import { availableParallelism } from 'node:os'
import { systemCode } from '../errors.js'
import { openLane, type Lane } from '../io/lane.js'
import type { ExtractData, ExtractReply, ExtractTask, FileToExtract } from './extract-protocol.js'
import { invalid, mismatch, printable } from './refusal.js'

/** Who the files shall belong to; only root can give files away. */
export interface FileOwner { uid: number, gid: number }

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
  descriptor: number, files: FileToExtract[], owner: FileOwner | null, signal: AbortSignal, onBytes: (bytes: number) => void
): Promise<void> {
  const tasks = group(files)
  const workerData: ExtractData = { descriptor, owner }
  const lanes = Array.from({ length: Math.min(tasks.length, availableParallelism(), mostLanes) },
    () => openLane<ExtractTask, ExtractReply>('./extract-worker', import.meta.url, workerData))
  try {
    await Promise.all(lanes.map(async lane => { await work(lane, tasks, signal, onBytes) }))
  } catch (error) {
    // The others stop at their next batch; their threads are ended below in any case.
    tasks.length = 0
    throw refused(error)
  } finally {
    await Promise.all(lanes.map(async lane => { await lane.close() }))
  }
}

async function work (lane: Lane<ExtractTask, ExtractReply>, tasks: ExtractTask[], signal: AbortSignal, onBytes: (bytes: number) => void): Promise<void> {
  for (let task = tasks.shift(); task !== undefined; task = tasks.shift()) {
    signal.throwIfAborted()
    lane.post(task)
    await lane.next()
    onBytes(task.files.reduce((sum, { size }) => sum + size, 0))
  }
}

function group (files: FileToExtract[]): ExtractTask[] {
  const tasks: ExtractTask[] = []
  let bytes = Infinity
  for (const file of files) {
    const last = tasks.at(-1)
    if (last === undefined || bytes + file.size > batchBytes || last.files.length === batchFiles) {
      tasks.push({ files: [file] })
      bytes = file.size
    } else {
      last.files.push(file)
      bytes += file.size
    }
  }
  return tasks
}

function refused (error: unknown): unknown {
  const code = systemCode(error)
  if (code === 'DAMAGED') return mismatch((error as Error).message)
  if (code === 'HEADERS_DISAGREE') return invalid(`the headers of ${printable((error as Error).message)} disagree`)
  return error
}
