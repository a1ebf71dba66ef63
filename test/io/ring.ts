import t from 'tap'
import { emptyRing, fillRing, takeRing } from '../../src/io/ring.js'

t.test('a ring is taken again when its thread has ended and nobody reads it any more', async t => {
  const ring = takeRing(3, 1000)
  const fill = fillRing(ring)
  const filled = emptyRing(ring)
  for (const value of [1, 2, 3]) {
    fill.slot().fill(value)
    fill.advance()
  }
  t.equal(ring.credits[0], 0, 'all slots are filled')
  const slots = [filled.next(), filled.next()]
  t.same(slots.map(({ bytes }) => bytes[0]), [1, 2])
  filled.close()
  t.not(takeRing(3, 1000), ring, 'two of its slots may be on their way to the disk')
  slots[1]!.release()
  t.not(takeRing(3, 1000), ring, 'one still may')
  slots[0]!.release()
  t.not(takeRing(3, 2000), ring, 'another size')
  t.not(takeRing(2, 1000), ring, 'another number')
  t.equal(takeRing(3, 1000), ring)
  t.equal(ring.credits[0], 3, 'also the slot that was filled and never taken is free')
  t.not(takeRing(3, 1000), ring, 'it is taken now')
})

t.test('a slot is filled again once it and all before it were released', async t => {
  const ring = takeRing(2, 10)
  const fill = fillRing(ring)
  const filled = emptyRing(ring)
  fill.advance()
  fill.advance()
  const [first, second] = [filled.next(), filled.next()]
  second.release()
  t.equal(ring.credits[0], 0)
  first.release()
  t.equal(ring.credits[0], 2)
})
