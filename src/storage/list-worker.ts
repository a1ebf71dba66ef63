import { enterLane, failureOf } from '../io/lane.js'
import type { PackedEntries } from './entry-list.js'
import { listTree } from './list-tree.js'
import type { FileOwners } from './strategy.js'

export interface ListData {
  root: string
}
export interface ListReply {
  kind: 'listed'
  entries: PackedEntries
  owners: FileOwners | null
  warnings: string[]
}

/* A worker thread that lists one folder: twenty thousand files keep a thread busy for a tenth of a second. */
const {
  port,
  data: { root }
} = enterLane<ListData>()

try {
  const { entries, owners, warnings } = listTree(root)
  const reply: ListReply = { kind: 'listed', entries: entries.packed(), owners, warnings }
  port.postMessage(
    reply,
    reply.entries.blocks.map(({ buffer }) => buffer as ArrayBuffer)
  )
} catch (error) {
  port.postMessage(failureOf(error))
}
