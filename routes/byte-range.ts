import type { IncomingHttpHeaders } from 'node:http'
import parseRange from 'range-parser'

export type Bytes =
  | { status: 200; start: number; end: number }
  | { status: 206; start: number; end: number }
  | { status: 304 }
  | { status: 416 }

/**
 * Which bytes of something a conditional or partial GET asks for (RFC 9110, sections 13 and 14); `end` is inclusive.
 * Several ranges, another unit and a range that makes no sense are answered with the whole, as the RFC allows.
 */
export function chooseBytes(headers: IncomingHttpHeaders, { size, etag }: { size: number; etag: string }): Bytes {
  if (headers['if-none-match'] !== undefined && matches(headers['if-none-match'], etag)) return { status: 304 }

  const whole: Bytes = { status: 200, start: 0, end: size - 1 }
  const { range, 'if-range': ifRange } = headers
  // If-Range compares strongly, and with dates never, since there is no Last-Modified.
  if (range === undefined || (ifRange !== undefined && ifRange.toString().trim() !== etag)) return whole

  const suffix = /^bytes=-0*([1-9][0-9]*)$/.exec(range)?.[1]
  // The parser calls a suffix longer than the whole unsatisfiable; section 14.1.2 means the whole by it.
  if (suffix !== undefined && Number(suffix) > size && size > 0) return { ...whole, status: 206 }
  const ranges = parseRange(size, range)
  if (ranges === -2 || (ranges !== -1 && ranges.type !== 'bytes')) return whole
  if (ranges === -1) return range.startsWith('bytes=') ? { status: 416 } : whole
  const [only] = ranges
  return only === undefined || ranges.length > 1 ? whole : { status: 206, start: only.start, end: only.end }
}

/** If-None-Match compares weakly. */
function matches(header: string, etag: string): boolean {
  return header.trim() === '*' || header.split(',').some(candidate => candidate.trim().replace(/^W\//, '') === etag)
}
