import t from 'tap'
import { listenForSignals } from '../src/signals.js'

t.test('takes the signals of one Ctrl-C for one request, and a later one for haste', async t => {
  const heard: string[] = []
  let now = 0
  const before = process.listeners('SIGINT')
  listenForSignals(
    {
      stop: signal => {
        heard.push(`stop ${signal}`)
      },
      hurry: signal => {
        heard.push(`hurry ${signal}`)
      }
    },
    () => now
  )
  t.teardown(() => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'] as const) {
      for (const listener of process.listeners(signal)) if (listener.name === 'receive') process.off(signal, listener)
    }
  })
  const [receive] = process.listeners('SIGINT').filter(listener => !before.includes(listener))
  const send = (signal: NodeJS.Signals) => {
    receive!.call(process, signal)
  }

  send('SIGINT')
  send('SIGINT')
  now = 1900
  send('SIGINT')
  t.same(heard, ['stop SIGINT'])
  now = 5000
  // The terminal is closed while the service stops.
  send('SIGHUP')
  send('SIGTERM')
  t.same(heard, ['stop SIGINT'])
  send('SIGINT')
  t.same(heard, ['stop SIGINT', 'hurry SIGINT'])
})
