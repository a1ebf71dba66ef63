import { setImmediate } from 'node:timers/promises'

/** In ms: what others may have to wait for a piece of long work. */
const longest = 8

/** For work that would hold the event loop for long: at each of its steps, `if (turn.isOver()) await turn.next()`. */
export interface Turn {
  isOver(): boolean
  /** Lets others have the event loop, and begins again. */
  next(): Promise<void>
}

export function beginTurn(): Turn {
  let since = performance.now()
  return {
    isOver: () => performance.now() - since > longest,
    async next() {
      await setImmediate()
      since = performance.now()
    }
  }
}
