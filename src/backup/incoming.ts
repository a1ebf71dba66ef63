import { randomUUID } from 'node:crypto'
import type { Readable } from 'node:stream'

/** Archives that clients are sending to this process, by an id: a job is data, so it names its stream by that. */
export interface IncomingArchives {
  /** @returns its id */
  add(stream: Readable): string
  /** Undefined where it was removed, or belonged to a process that has ended. */
  get(id: string): Readable | undefined
  remove(id: string): void
}

export function createIncomingArchives(): IncomingArchives {
  const streams = new Map<string, Readable>()
  return {
    add(stream) {
      const id = randomUUID()
      streams.set(id, stream)
      return id
    },
    get: id => streams.get(id),
    remove(id) {
      streams.delete(id)
    }
  }
}
