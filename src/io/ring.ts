/** Slots of shared memory that one thread fills in turn and another empties. Which of them is filled, and with how much, they tell each other. */
export interface Ring {
  slotBytes: number
  memory: SharedArrayBuffer
  /** One number: how many slots may be filled. */
  credits: Int32Array<SharedArrayBuffer>
}

export interface Slot {
  bytes: Buffer
  /** Nobody reads it any more. */
  release (): void
}

export function createRing (slots: number, slotBytes: number): Ring {
  const credits = new Int32Array(new SharedArrayBuffer(4))
  credits[0] = slots
  return { slotBytes, memory: new SharedArrayBuffer(slots * slotBytes), credits }
}

/** For the thread that fills the slots. */
export function fillRing ({ slotBytes, memory, credits }: Ring) {
  let filled = 0
  return {
    /** The next slot, for which the thread waits until it is free. It stays the next until `advance`. */
    slot (): Buffer {
      while (Atomics.load(credits, 0) === 0) Atomics.wait(credits, 0, 0)
      return Buffer.from(memory, filled * slotBytes % memory.byteLength, slotBytes)
    },
    /** The slot is filled. */
    advance (): void {
      Atomics.sub(credits, 0, 1)
      filled += 1
    }
  }
}

/** For the thread that empties them: each call is the next slot, to be asked for once it is filled. */
export function emptyRing ({ slotBytes, memory, credits }: Ring): () => Slot {
  let taken = 0
  let returned = 0
  const released = new Set<number>()

  /** They are filled in turn: one that was released before an older one, which may still be on its way to the disk, waits for it. */
  function release (number: number): void {
    released.add(number)
    for (; released.delete(returned); returned += 1) Atomics.add(credits, 0, 1)
    Atomics.notify(credits, 0)
  }

  return () => {
    const number = taken++
    return { bytes: Buffer.from(memory, number * slotBytes % memory.byteLength, slotBytes), release: () => { release(number) } }
  }
}
