const newline = 0x0a
const headBytes = 4096
const tailBytes = 1024

/**
 * The dump without pg_dump's own `\restrict` and `\unrestrict` lines, which psql refuses inside another `\restrict`.
 * Only the one line in the dump's head and its counterpart at the very end are taken out: a row of a COPY may begin alike.
 */
export async function * removeRestrict (dump: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let held: Buffer = Buffer.alloc(0)
  let key: string | undefined
  let headSeen = false
  for await (const chunk of dump) {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    if (!headSeen) {
      if (held.length < headBytes) continue
      ({ held, key } = withoutHead(held))
      headSeen = true
    }
    if (held.length > tailBytes) {
      yield held.subarray(0, -tailBytes)
      held = Buffer.from(held.subarray(-tailBytes))
    }
  }
  if (!headSeen) ({ held, key } = withoutHead(held))
  yield withoutTail(held, key)
}

function withoutHead (dump: Buffer): { held: Buffer, key: string | undefined } {
  const match = /^((?:--.*\n|\n)*)\\restrict ([0-9A-Za-z]+)\n/.exec(dump.subarray(0, headBytes).toString('latin1'))
  if (match === null) return { held: dump, key: undefined }
  const [line, before, key] = match as unknown as [string, string, string]
  return { held: Buffer.concat([dump.subarray(0, before.length), dump.subarray(line.length)]), key }
}

function withoutTail (dump: Buffer, key: string | undefined): Buffer {
  if (key === undefined) return dump
  const line = `\n\\unrestrict ${key}\n`
  const start = dump.lastIndexOf(line)
  if (start === -1 || dump.subarray(start + line.length).some(byte => byte !== newline)) return dump
  return dump.subarray(0, start + 1)
}

/**
 * The dump without the entries whose comment line starts with `start` and holds `kind`; an entry reaches to the next
 * entry's `--` line. A chunk that can't hold one passes as it is.
 */
export async function * removeEntries (dump: AsyncIterable<Buffer>, start: string, kind: string): AsyncGenerator<Buffer> {
  const marker = Buffer.from(`\n--\n${start}`)
  const nextEntry = Buffer.from('\n--\n')
  let held: Buffer = Buffer.alloc(0)
  let removing = false
  for await (const chunk of dump) {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    for (;;) {
      if (removing) {
        const next = held.indexOf(nextEntry)
        if (next === -1) break
        held = held.subarray(next)
        removing = false
      }
      const found = held.indexOf(marker)
      if (found === -1) {
        const keep = Math.min(held.length, marker.length)
        yield held.subarray(0, held.length - keep)
        held = Buffer.from(held.subarray(held.length - keep))
        break
      }
      const lineEnd = held.indexOf(newline, found + marker.length)
      if (lineEnd === -1) {
        yield held.subarray(0, found)
        held = Buffer.from(held.subarray(found))
        break
      }
      if (held.subarray(found, lineEnd).includes(kind)) {
        yield held.subarray(0, found)
        // From the comment's last line on, so that its own closing `--` is not taken for the next entry.
        held = held.subarray(lineEnd + 3)
        removing = true
      } else {
        yield held.subarray(0, lineEnd)
        held = held.subarray(lineEnd)
      }
    }
    if (removing && held.length > nextEntry.length) held = Buffer.from(held.subarray(-nextEntry.length))
  }
  if (!removing) yield held
}
