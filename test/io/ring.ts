import t from 'tap'
import { emptyRing, fillRing, slots, takeRing } from '../../src/io/ring.js'

t.test('a ring is taken again when its thread has ended and nobody reads it any more', async t => {
  const ring = takeRing()
  const fill = fillRing(ring)
  const filled = emptyRing(ring)
  for (const value of [1, 2, 3]) {
    fill.slot().fill(value)
    fill.advance()
  }
  t.equal(ring.credits[0], slots - 3)
  const taken = [filled.next(), filled.next()]
  t.same(
    taken.map(({ bytes }) => bytes[0]),
    [1, 2]
  )
  filled.close()
  t.not(takeRing(), ring, 'two of its slots may be on their way to the disk')
  taken[1]!.release()
  t.not(takeRing(), ring, 'one still may')
  taken[0]!.release()
  t.equal(takeRing(), ring)
  t.equal(ring.credits[0], slots, 'also the slot that was filled and never taken is free')
  t.not(takeRing(), ring, 'it is taken now')
})

t.test('a slot is filled again once it and all before it were released', async t => {
  const ring = takeRing()
  const fill = fillRing(ring)
  const filled = emptyRing(ring)
  fill.advance()
  fill.advance()
  const [first, second] = [filled.next(), filled.next()]
  second.release()
  t.equal(ring.credits[0], slots - 2)
  first.release()
  t.equal(ring.credits[0], slots)
})
