import t from 'tap'
import { chooseBytes } from '../../routes/byte-range.js'

const etag = '"abc"'
const choose = (headers: Record<string, string>, size = 1000) => chooseBytes(headers, { size, etag })
const whole = { status: 200, start: 0, end: 999 }

t.test('ranges', async t => {
  const cases: Array<[string, object]> = [
    ['bytes=0-0', { status: 206, start: 0, end: 0 }],
    ['bytes=0-499', { status: 206, start: 0, end: 499 }],
    ['bytes=500-', { status: 206, start: 500, end: 999 }],
    ['bytes=500-99999', { status: 206, start: 500, end: 999 }],
    ['bytes=-1', { status: 206, start: 999, end: 999 }],
    ['bytes=-1000', { status: 206, start: 0, end: 999 }],
    ['bytes=-1001', { status: 206, start: 0, end: 999 }],
    ['bytes=0-0,1-1', whole],
    ['bytes=0-9,10-19', whole],
    ['bytes=0-9,5000-6000', { status: 206, start: 0, end: 9 }],
    ['bytes=0-9,20-29', whole],
    ['bytes=1000-', { status: 416 }],
    ['bytes=-0', { status: 416 }],
    ['bytes=5-1', { status: 416 }],
    ['bytes=x-y', whole],
    ['bytes', whole],
    ['lines=1-2', whole],
    ['lines=5000-', whole]
  ]
  for (const [range, expected] of cases) t.same(choose({ range }), expected, range)
})

t.test('If-Range', async t => {
  const range = 'bytes=0-9'
  t.match(choose({ range, 'if-range': etag }), { status: 206 })
  t.same(choose({ range, 'if-range': '"other"' }), whole)
  t.same(choose({ range, 'if-range': 'W/"abc"' }), whole, 'weak')
  t.same(choose({ range, 'if-range': 'Wed, 21 Oct 2026 07:28:00 GMT' }), whole, 'a date')
})

t.test('If-None-Match', async t => {
  for (const header of [etag, `W/${etag}`, '*', `"x", ${etag}`])
    t.same(choose({ 'if-none-match': header }), { status: 304 }, header)
  t.same(choose({ 'if-none-match': '"x"' }), whole)
  t.same(choose({ 'if-none-match': etag, range: 'bytes=5000-' }), { status: 304 }, 'it comes before Range')
})
