import t from 'tap'
import { beginTurn } from '../../src/io/turns.js'

t.test('who works long lets others have the event loop', async t => {
  const turn = beginTurn()
  t.equal(turn.isOver(), false)
  let served = 0
  const others = setInterval(() => {
    served += 1
  })
  for (let rounds = 0; served < 2; rounds += 1) {
    const started = performance.now()
    while (!turn.isOver()) if (performance.now() - started > 60_000) throw new Error('It never ends.')
    t.equal(served <= rounds, true, 'nobody else meanwhile')
    await turn.next()
    t.equal(turn.isOver(), false)
  }
  clearInterval(others)
})
