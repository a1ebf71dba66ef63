import { mkdir, writeFile } from 'node:fs/promises'
import { createHash } from 'node:crypto'
import { dirname, join } from 'node:path'
import { execa } from 'execa'
import fc from 'fast-check'
import t from 'tap'
import { formatChecksumLine, readChecksums } from '../../src/archive/checksums.js'
import { testFolder } from '../support/archive.js'

const names = [
  'plain',
  'with space',
  ' leading',
  'trailing ',
  '-rf',
  '*star',
  'back\\slash',
  'new\nline',
  'carriage\rreturn',
  '\\n',
  '\\\\',
  'a\\\nb',
  '\\',
  '"quoted"',
  "'single'",
  '$(touch x)',
  '`x`',
  '\ttab',
  'emoji 🦁',
  'é',
  'e\u0301',
  'ﷺ',
  '\u2028',
  '\u0001\u007f',
  'x'.repeat(255),
  'deep/er/est',
  '#hash',
  '\ufeffbom'
]
/** All of them by name; null when the text is none, or names an entry twice. */
function parseChecksums(text: string): Map<string, string> | null {
  const sums = new Map<string, string>()
  const lines = readChecksums(Buffer.from(text))
  for (let line = lines.next(); ; line = lines.next()) {
    if (line.done === true) return line.value ? sums : null
    if (sums.has(line.value.name)) return null
    sums.set(line.value.name, line.value.sha256)
  }
}

const sum = (content: string) => createHash('sha256').update(content).digest('hex')

t.test('sha256sum accepts our lines and we read its own', async t => {
  const folder = await testFolder(t)
  for (const name of names) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), `content of ${name}`)
  }
  const ours = names.map(name => formatChecksumLine(name, sum(`content of ${name}`))).join('')
  const theirs = await execa('sha256sum', ['--', ...names], { cwd: folder, stripFinalNewline: false })
  t.equal(ours, theirs.stdout)
  const list = join(await testFolder(t), 'SHA256SUMS')
  await writeFile(list, ours)
  const check = await execa('sha256sum', ['--check', '--strict', list], { cwd: folder })
  t.equal(check.stdout.split('\n').filter(line => line.endsWith(': OK')).length, names.length)
  t.strictSame(parseChecksums(theirs.stdout), new Map(names.map(name => [name, sum(`content of ${name}`)])))
})

t.test('any set of names comes back', async () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(
        fc
          .string({ unit: 'grapheme', minLength: 1 })
          .filter(name => Buffer.from(name).toString() === name && !name.includes('\0'))
      ),
      names => {
        const text = names.map(name => formatChecksumLine(name, sum(name))).join('')
        return [...(parseChecksums(text) ?? [])].every(
          ([name, value], index) => name === names[index] && value === sum(name)
        )
      }
    )
  )
})

t.test('what is no list of checksums is refused', async t => {
  const line = formatChecksumLine('a', sum('a'))
  for (const text of [
    line.trimEnd(),
    `${line}\n`,
    line.toUpperCase(),
    line.slice(1),
    line.replace('  ', ' '),
    line + line,
    `${sum('a')}  \n`,
    'text\n',
    '\n'
  ]) {
    t.equal(parseChecksums(text), null, JSON.stringify(text))
  }
  t.strictSame(parseChecksums(''), new Map())
})
