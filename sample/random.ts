/** Random choices that are the same for the same seed, on every machine. */
export interface Random {
  /** A whole number from 0 up to, not including, `below`. */
  integer(below: number): number
  pick<T>(items: readonly T[]): T
  bytes(length: number): Buffer
}

/** The generator is mulberry32: 32 bits of state, enough for sample data and for nothing else. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0

  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return (mixed ^ (mixed >>> 14)) >>> 0
  }

  return {
    integer: below => next() % below,
    pick: items => items[next() % items.length]!,
    bytes(length) {
      const words = new Uint32Array(Math.ceil(length / 4)).map(next)
      return Buffer.from(words.buffer, 0, length)
    }
  }
}
