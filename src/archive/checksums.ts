/*
 * SHA256SUMS in sha256sum's own format (GNU coreutils manual, "md5sum invocation"): `<hex>  <name>`; a name that holds
 * a backslash, newline or carriage return is escaped and its line starts with a backslash.
 */

const escapes: Record<string, string> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r' }
const unescapes: Record<string, string> = { '\\\\': '\\', '\\n': '\n', '\\r': '\r' }
/** `s`: without it a dot leaves out U+2028 and U+2029, which a name can hold. */
const linePattern = /^(\\?)([0-9a-f]{64}) [ *](.+)$/s

/** One line, with its newline. */
export function formatChecksumLine (name: string, sha256: string): string {
  const escaped = name.replace(/[\\\n\r]/g, character => escapes[character] as string)
  return `${escaped === name ? '' : '\\'}${sha256}  ${escaped}\n`
}

/** SHA-256 by name; null when the text is no SHA256SUMS, or names an entry twice. */
export function parseChecksums (text: string): Map<string, string> | null {
  const sums = new Map<string, string>()
  if (text === '') return sums
  if (!text.endsWith('\n')) return null
  for (const line of text.slice(0, -1).split('\n')) {
    const match = linePattern.exec(line)
    if (match === null) return null
    const [, escaped, sum, written] = match as unknown as [string, string, string, string]
    const name = escaped === '' ? written : written.replace(/\\[\\nr]/g, pair => unescapes[pair] as string)
    if (sums.has(name)) return null
    sums.set(name, sum)
  }
  return sums
}
