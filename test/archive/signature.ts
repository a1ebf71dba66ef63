import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import t from 'tap'
import { openArchive } from '../../src/archive/reader.js'
import { derivedKey, givenKey, keyId, signerOf, signatureOf, type SigningKeys } from '../../src/archive/signature.js'
import { archiveBytes, fileWith, organizationId, testFolder } from '../support/archive.js'
import { projectFile } from '../support/project.js'

const secrets = {
  BACKUP_SIGNING_KEY: 'a key\'s "secret" $ words, with ümlauts',
  JWT_SECRET: "the tokens' secret, also long enough"
}
const entries = [{ path: '' }, { path: 'a.txt', content: 'some text' }, { path: 'b.txt', content: 'more text' }]

async function isTrusted(t: Parameters<typeof fileWith>[0], bytes: Buffer, keys: SigningKeys | null): Promise<boolean> {
  return (await openArchive(await fileWith(t, bytes), bytes.length, organizationId, keys)).trusted
}

t.test('an archive is trusted when one of the keys has signed it', async t => {
  const [ours, former, foreign] = ['ours', 'former', 'foreign'].map(name => givenKey(name.repeat(8)))
  const keys = { current: ours!, previous: [former!] }
  for (const [key, expected] of [
    [ours, true],
    [former, true],
    [foreign, false],
    [null, false]
  ] as const) {
    t.equal(await isTrusted(t, await archiveBytes(entries, {}, key), keys), expected)
  }
  t.equal(await isTrusted(t, await archiveBytes(entries, {}, ours), null), false)
  t.not(signatureOf([], givenKey(secrets.JWT_SECRET)), signatureOf([], derivedKey(secrets.JWT_SECRET)))
})

t.test('a signature is worth nothing with other sums, or another key', t => {
  const keys = { current: givenKey('ours'.repeat(8)), previous: [] }
  const sums = Buffer.from(`${'0'.repeat(64)}  files/acme/a.txt\n`)
  const signature = signatureOf([sums], keys.current)
  t.equal(signerOf(keys, sums, signature), keyId(keys.current))
  for (const other of [Buffer.concat([sums, sums]), sums.subarray(1), Buffer.alloc(0)])
    t.notOk(signerOf(keys, other, signature))
  for (const other of ['', signature.slice(2), `${signature}00`, signature.replace(/^../, 'zz')])
    t.notOk(signerOf(keys, sums, other))
  t.end()
})

t.test('the commands in FORMAT.md show the signature', async t => {
  const text = await readFile(projectFile('src/archive/FORMAT.md'), 'utf8')
  const commands = [
    ...text.slice(text.indexOf('### Who made it'), text.indexOf('## Entries')).matchAll(/^ {4}(.*)$/gm)
  ].map(([, line = '']) => line)
  const folder = await testFolder(t)
  const sums = Buffer.from(`${'0'.repeat(64)}  files/acme/a.txt\n`)
  await writeFile(join(folder, 'SHA256SUMS'), sums)
  const run = async (lines: string[]): Promise<string> =>
    (await execa('sh', ['-euc', lines.join('\n')], { cwd: folder, env: { ...process.env, ...secrets } })).stdout
  const given = commands.filter(line => line.includes('BACKUP_SIGNING_KEY'))
  const derived = commands.filter(line => /JWT_SECRET|hexkey/.test(line))
  t.equal(given.length, 1)
  t.equal(derived.length, 2)
  t.match(await run(given), signatureOf([sums], givenKey(secrets.BACKUP_SIGNING_KEY)))
  t.match(await run(derived), signatureOf([sums], derivedKey(secrets.JWT_SECRET)))
})
