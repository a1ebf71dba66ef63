const newline = 0x0a
const carriageReturn = 0x0d
const apostrophe = 0x27
const quotationMark = 0x22
const backslash = 0x5c
const minus = 0x2d
const slash = 0x2f
const asterisk = 0x2a
const dollar = 0x24
const semicolon = 0x3b
const openingBracket = 0x28
const closingBracket = 0x29
/**
 * Of a word or of a dollar quote's tag. pg_dump writes no longer one; it would be read in parts, so that memory stays
 * small.
 */
const longestToken = 1 << 16

/** `nothing` is white space or the start of a psql command, whose rest is read as a comment. */
export type Token = 'nothing' | 'comment' | 'word' | 'quoted' | 'open' | 'close' | 'semicolon' | 'other'

/** How far psql would have read. */
export interface Lexer {
  at: number
  /** The comment, quote or E'...' that has not ended yet; a quote ends with these bytes. */
  inside:
    { kind: 'line' } | { kind: 'comment'; depth: number } | { kind: 'quote'; end: Buffer } | { kind: 'escapes' } | null
}

const inQuote = { kind: 'quote', end: Buffer.from("'") } as const
const inIdentifier = { kind: 'quote', end: Buffer.from('"') } as const
const inLine = { kind: 'line' } as const
const inEscapes = { kind: 'escapes' } as const

/**
 * Goes over one token, as psql tells them apart (PostgreSQL's source, psqlscan.l): quotes are as
 * standard_conforming_strings has them, doubled ones are two quotes in a row. No byte of a character beyond ASCII is
 * one of ASCII in a server's encoding. A long quote or comment comes in parts, so that none is held. Two literals in a
 * row with a line end in between are two here, not one: pg_dump never writes the second half of E'...' so.
 * @returns null when more of the text is needed
 */
export function skipToken(lexer: Lexer, text: Buffer, isWhole: boolean): Token | null {
  if (lexer.inside !== null) return skipInside(lexer, text, isWhole)
  const start = lexer.at
  if (start >= text.length) return null
  const byte = text[start] as number
  if (isSpace(byte)) {
    let at = start + 1
    while (at < text.length && isSpace(text[at] as number)) at += 1
    lexer.at = at
    return 'nothing'
  }
  if (isWordStart(byte)) return skipWord(lexer, text, isWhole)
  const next = text[start + 1]
  if (next === undefined && !isWhole && (byte === minus || byte === slash)) return null
  if (byte === dollar) return skipDollar(lexer, text, isWhole)
  lexer.at = start + 1
  switch (byte) {
    case apostrophe:
      lexer.inside = inQuote
      return 'quoted'
    case quotationMark:
      lexer.inside = inIdentifier
      return 'quoted'
    case backslash:
      lexer.inside = inLine
      return 'nothing'
    case openingBracket:
      return 'open'
    case closingBracket:
      return 'close'
    case semicolon:
      return 'semicolon'
  }
  if (byte === minus && next === minus) {
    lexer.inside = inLine
    return 'comment'
  }
  if (byte === slash && next === asterisk) {
    lexer.at = start + 2
    lexer.inside = { kind: 'comment', depth: 1 }
    return 'comment'
  }
  return 'other'
}

function skipInside(lexer: Lexer, text: Buffer, isWhole: boolean): Token | null {
  const { inside } = lexer
  if (inside === null || lexer.at >= text.length) return null
  switch (inside.kind) {
    case 'quote': {
      const { end } = inside
      const found = text.indexOf(end, lexer.at)
      // The last bytes can be the first of the end.
      const through = found === -1 ? text.length - (isWhole ? 0 : end.length - 1) : found + end.length
      if (through <= lexer.at) return null
      lexer.at = through
      if (found !== -1) lexer.inside = null
      return 'quoted'
    }
    case 'escapes':
      return skipEscapes(lexer, text, isWhole)
    case 'line': {
      let at = lexer.at
      while (at < text.length && text[at] !== newline && text[at] !== carriageReturn) at += 1
      lexer.at = at
      if (at < text.length) lexer.inside = null
      return 'comment'
    }
    case 'comment':
      return skipComment(lexer, inside, text, isWhole)
  }
}

/** Of E'...', behind its first quote. */
function skipEscapes(lexer: Lexer, text: Buffer, isWhole: boolean): Token | null {
  let at = lexer.at
  for (; at < text.length; at += 1) {
    const byte = text[at]
    if (byte !== backslash && byte !== apostrophe) continue
    if (at + 1 === text.length && !isWhole) break
    if (byte === apostrophe && text[at + 1] !== apostrophe) {
      lexer.inside = null
      at += 1
      break
    }
    at += 1
  }
  at = Math.min(at, text.length)
  if (at === lexer.at) return null
  lexer.at = at
  return 'quoted'
}

function skipComment(lexer: Lexer, inside: { depth: number }, text: Buffer, isWhole: boolean): Token | null {
  let at = lexer.at
  while (at < text.length && inside.depth > 0) {
    const [byte, next] = [text[at], text[at + 1]]
    if (next === undefined && !isWhole && (byte === asterisk || byte === slash)) break
    const isOpened = byte === slash && next === asterisk
    const isClosed = byte === asterisk && next === slash
    if (isOpened) inside.depth += 1
    if (isClosed) inside.depth -= 1
    at += isOpened || isClosed ? 2 : 1
  }
  if (inside.depth === 0) lexer.inside = null
  if (at === lexer.at) return null
  lexer.at = at
  return 'comment'
}

function skipWord(lexer: Lexer, text: Buffer, isWhole: boolean): Token | null {
  const start = lexer.at
  let at = start + 1
  while (at < text.length && isInWord(text[at] as number)) at += 1
  if (at === text.length && !isWhole && at - start < longestToken) return null
  lexer.at = at
  if (at === start + 1 && text[at] === apostrophe && (text[start] === 0x45 || text[start] === 0x65)) {
    lexer.at = at + 1
    lexer.inside = inEscapes
    return 'quoted'
  }
  return 'word'
}

/** `$$` or `$tag$`, else a parameter or nothing of the kind. */
function skipDollar(lexer: Lexer, text: Buffer, isWhole: boolean): Token | null {
  const start = lexer.at
  let at = start + 1
  if (at < text.length && isWordStart(text[at] as number)) {
    while (at < text.length && text[at] !== dollar && isInWord(text[at] as number)) at += 1
  }
  if (at === text.length && !isWhole && at - start < longestToken) return null
  if (text[at] !== dollar) {
    lexer.at = start + 1
    return 'other'
  }
  lexer.at = at + 1
  lexer.inside = { kind: 'quote', end: Buffer.from(text.subarray(start, at + 1)) }
  return 'quoted'
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d)
}

function isWordStart(byte: number): boolean {
  return (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x41 && byte <= 0x5a) || byte === 0x5f || byte >= 0x80
}

function isInWord(byte: number): boolean {
  return isWordStart(byte) || (byte >= 0x30 && byte <= 0x39) || byte === dollar
}
