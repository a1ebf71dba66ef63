import { createByteList } from '../io/byte-list.js'

/** A file or folder of an organization's uploads, as listed at the snapshot. */
export interface StoredEntry {
  kind: 'file' | 'folder'
  /** Path below the organization's folder, `/` between its parts, no leading slash. */
  path: string
  /** Bytes; 0 for a folder. */
  size: number
  /** Permission bits only (07777). */
  mode: number
  mtime: Date
}

/** The entries of a listing, in the order in which they were added. Each walk makes them anew. */
export interface EntryList extends Iterable<StoredEntry> {
  readonly length: number
  /** Bytes of all files. */
  readonly bytes: number
  append(entry: StoredEntry): void
  /** The same for another thread, which makes a list of it again. */
  packed(): PackedEntries
}

export interface PackedEntries {
  blocks: Uint8Array[]
  length: number
  bytes: number
}

/** Bytes before the path: kind, mode, size, time, bytes of the path. */
const headBytes = 1 + 2 + 8 + 8 + 4

/** Keeps an entry in about 60 bytes; as an object with a Date it takes ten times as much, and there can be millions. */
export function createEntryList(packed: PackedEntries = { blocks: [], length: 0, bytes: 0 }): EntryList {
  const records = createByteList(
    packed.blocks.map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength))
  )
  let { length, bytes } = packed

  return {
    get length() {
      return length
    },
    get bytes() {
      return bytes
    },

    append({ kind, path, size, mode, mtime }) {
      const pathBytes = Buffer.byteLength(path)
      const record = Buffer.allocUnsafe(headBytes + pathBytes)
      record.writeUInt8(kind === 'file' ? 1 : 0, 0)
      record.writeUInt16LE(mode, 1)
      record.writeDoubleLE(size, 3)
      record.writeDoubleLE(mtime.getTime(), 11)
      record.writeUInt32LE(pathBytes, 19)
      record.write(path, headBytes)
      records.append(record)
      length += 1
      bytes += size
    },

    packed: () => ({ blocks: records.blocks(), length, bytes }),

    *[Symbol.iterator]() {
      for (const block of records.blocks()) {
        for (let at = 0; at < block.length;) {
          const end = at + headBytes + block.readUInt32LE(at + 19)
          yield {
            kind: block.readUInt8(at) === 1 ? 'file' : 'folder',
            path: block.toString('utf8', at + headBytes, end),
            size: block.readDoubleLE(at + 3),
            mode: block.readUInt16LE(at + 1),
            mtime: new Date(block.readDoubleLE(at + 11))
          }
          at = end
        }
      }
    }
  }
}
