export interface ArchiveEntry {
  /** As it stands in the archive; a folder's ends with `/`. */
  name: string
  kind: 'file' | 'folder'
  /** Bytes before compression. */
  size: number
  /** Permission bits only. */
  mode: number
  /** To the second. */
  mtime: Date
  /** Null for a folder. */
  sha256: string | null
}

/** What the central directory says of where an entry is; its header is made from this again when it is needed. */
export interface Located extends ArchiveEntry {
  offset: number
  compressedSize: number
  deflated: boolean
  crc32: number
  /** CRC-32 and sizes stand before the data, not only behind it. */
  measuredFirst: boolean
  /** The sizes behind the data take 8 bytes each. */
  wide: boolean
  dosTime: number
  dosDate: number
}

type Fields = Omit<Located, 'name' | 'kind' | 'sha256'>

/**
 * Numbers of many entries, a column each: with a property for each of them, a million entries would take twice the
 * memory.
 */
export interface EntryTable {
  /** There is room for as many as were told. */
  add(name: string, fields: Fields): Located
}

/** @param most entries that will be added */
export function createEntryTable(most: number): EntryTable {
  const columns: Columns = {
    size: new Float64Array(most),
    offset: new Float64Array(most),
    compressedSize: new Float64Array(most),
    seconds: new Float64Array(most),
    crc32: new Uint32Array(most),
    mode: new Uint16Array(most),
    dosTime: new Uint16Array(most),
    dosDate: new Uint16Array(most),
    deflated: new Uint8Array(most),
    measuredFirst: new Uint8Array(most),
    wide: new Uint8Array(most),
    sha256: Buffer.alloc(most * sha256Bytes),
    summed: new Uint8Array(most)
  }
  let added = 0

  return {
    add(name, { size, offset, compressedSize, mtime, crc32, mode, dosTime, dosDate, deflated, measuredFirst, wide }) {
      const row = added++
      columns.size[row] = size
      columns.offset[row] = offset
      columns.compressedSize[row] = compressedSize
      columns.seconds[row] = mtime.getTime() / 1000
      columns.crc32[row] = crc32
      columns.mode[row] = mode
      columns.dosTime[row] = dosTime
      columns.dosDate[row] = dosDate
      columns.deflated[row] = Number(deflated)
      columns.measuredFirst[row] = Number(measuredFirst)
      columns.wide[row] = Number(wide)
      return new TableEntry(name, columns, row)
    }
  }
}

const sha256Bytes = 32

interface Columns {
  size: Float64Array
  offset: Float64Array
  compressedSize: Float64Array
  seconds: Float64Array
  crc32: Uint32Array
  mode: Uint16Array
  dosTime: Uint16Array
  dosDate: Uint16Array
  deflated: Uint8Array
  measuredFirst: Uint8Array
  wide: Uint8Array
  sha256: Buffer
  summed: Uint8Array
}

class TableEntry implements Located {
  constructor(
    readonly name: string,
    private readonly columns: Columns,
    private readonly row: number
  ) {}

  get kind(): ArchiveEntry['kind'] {
    return this.name.endsWith('/') ? 'folder' : 'file'
  }
  get size(): number {
    return this.columns.size[this.row]!
  }
  get offset(): number {
    return this.columns.offset[this.row]!
  }
  get compressedSize(): number {
    return this.columns.compressedSize[this.row]!
  }
  get mtime(): Date {
    return new Date(this.columns.seconds[this.row]! * 1000)
  }
  get crc32(): number {
    return this.columns.crc32[this.row]!
  }
  get mode(): number {
    return this.columns.mode[this.row]!
  }
  get dosTime(): number {
    return this.columns.dosTime[this.row]!
  }
  get dosDate(): number {
    return this.columns.dosDate[this.row]!
  }
  get deflated(): boolean {
    return this.columns.deflated[this.row] === 1
  }
  get measuredFirst(): boolean {
    return this.columns.measuredFirst[this.row] === 1
  }
  get wide(): boolean {
    return this.columns.wide[this.row] === 1
  }
  set wide(wide: boolean) {
    this.columns.wide[this.row] = Number(wide)
  }

  get sha256(): string | null {
    if (this.columns.summed[this.row] === 0) return null
    return this.columns.sha256.toString('hex', this.row * sha256Bytes, (this.row + 1) * sha256Bytes)
  }

  set sha256(hex: string | null) {
    this.columns.summed[this.row] = Number(hex !== null)
    if (hex !== null) this.columns.sha256.write(hex, this.row * sha256Bytes, 'hex')
  }
}
