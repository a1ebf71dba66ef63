/** A block of 1 MiB, and what deflate may make it longer. */
const slotBytes = (1 << 20) + 4096
/**
 * With four a backup took 5 % longer: the threads waited for one another. With eight it took as long, and 10 MB more.
 */
export const slots = 6

/**
 * Slots of shared memory that one thread fills in turn and another empties. Which of them is filled, and with how much,
 * they tell each other.
 */
export interface Ring {
  memory: SharedArrayBuffer
  /** One number: how many slots may be filled. */
  credits: Int32Array<SharedArrayBuffer>
}

export interface Slot {
  bytes: Buffer
  /** It is not read any more. */
  release(): void
}

export interface RingReader {
  /** The next slot, to be asked for once it is filled. */
  next(): Slot
  /** The thread that fills the ring has ended. Once every slot that was taken is released, the ring is taken again. */
  close(): void
}

/** Left to V8, which sees little garbage here, a ring would lie about for several backups. */
const unused: Ring[] = []

/** One that is not used any more, or a new one. */
export function takeRing(): Ring {
  const ring = unused.pop() ?? {
    memory: new SharedArrayBuffer(slots * slotBytes),
    credits: new Int32Array(new SharedArrayBuffer(4))
  }
  Atomics.store(ring.credits, 0, slots)
  return ring
}

/** For the thread that fills the slots. */
export function fillRing({ memory, credits }: Ring) {
  let filled = 0
  return {
    /** The next slot, for which the thread waits until it is free. It stays the next until `advance`. */
    slot(): Buffer {
      while (Atomics.load(credits, 0) === 0) Atomics.wait(credits, 0, 0)
      return Buffer.from(memory, (filled * slotBytes) % memory.byteLength, slotBytes)
    },
    /** The slot is filled. */
    advance(): void {
      Atomics.sub(credits, 0, 1)
      filled += 1
    }
  }
}

/** For the thread that empties them. */
export function emptyRing(ring: Ring): RingReader {
  const { memory, credits } = ring
  let taken = 0
  let returned = 0
  let isClosed = false
  const released = new Set<number>()

  /**
   * They are filled in turn: one that was released before an older one, which may still be on its way to the disk,
   * waits for it.
   */
  function release(number: number): void {
    released.add(number)
    for (; released.delete(returned); returned += 1) Atomics.add(credits, 0, 1)
    Atomics.notify(credits, 0)
    giveBack()
  }

  function giveBack(): void {
    if (!isClosed || returned !== taken) return
    isClosed = false
    unused.push(ring)
  }

  return {
    next() {
      const number = taken++
      return {
        bytes: Buffer.from(memory, (number * slotBytes) % memory.byteLength, slotBytes),
        release: () => {
          release(number)
        }
      }
    },
    close() {
      isClosed = true
      giveBack()
    }
  }
}
