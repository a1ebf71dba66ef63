/*
 * SHA256SUMS in sha256sum's own format (GNU coreutils manual, "md5sum invocation"): `<hex>  <name>`; a name that holds
 * a backslash, newline or carriage return is escaped and its line starts with a backslash.
 */

const escapes: Record<string, string> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r' }
const unescapes: Record<string, string> = { '\\\\': '\\', '\\n': '\n', '\\r': '\r' }
/** `s`: without it a dot leaves out U+2028 and U+2029, which a name can hold. */
const linePattern = /^(\\?)([0-9a-f]{64}) [ *](.+)$/s

/** One line, with its newline. */
export function formatChecksumLine(name: string, sha256: string): string {
  const escaped = name.replace(/[\\\n\r]/g, character => escapes[character] as string)
  return `${escaped === name ? '' : '\\'}${sha256}  ${escaped}\n`
}

/**
 * Name and SHA-256 of each line, one by one: there can be a million. @returns false after the last when the text is no
 * SHA256SUMS
 */
export function* readChecksums(text: Buffer): Generator<{ name: string; sha256: string }, boolean> {
  for (let start = 0; start < text.length;) {
    const end = text.indexOf(0x0a, start)
    if (end === -1) return false
    const match = linePattern.exec(text.toString('utf8', start, end))
    if (match === null) return false
    const [, escaped, , written] = match as unknown as [string, string, string, string]
    const sumAt = start + escaped.length
    yield {
      name: escaped === '' ? written : written.replace(/\\[\\nr]/g, pair => unescapes[pair] as string),
      // Read again, since a part of a string keeps all of it.
      sha256: text.toString('latin1', sumAt, sumAt + 64)
    }
    start = end + 1
  }
  return true
}
