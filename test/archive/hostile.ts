import { open, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { constants, deflateRawSync, gzipSync } from 'node:zlib'
import { Value } from '@sinclair/typebox/value'
import t from 'tap'
import { mostEntries } from '../../src/archive/layout.js'
import { Metadata } from '../../src/archive/metadata.js'
import { openArchive } from '../../src/archive/reader.js'
import { AppError } from '../../src/errors.js'
import { extractFiles } from '../../src/restore/extract-files.js'
import { readDump } from '../../src/restore/read-dump.js'
import { base, closed, file, folder, wellFormed, zip } from '../fixtures/malformed/make.js'
import { archiveBytes, contentOf, fileWith, metadataWith, organizationId, testFolder } from '../support/archive.js'
import { testKeys } from '../support/core.js'

/*
 * Archives that are made to do harm and too large, or too many, to be kept as files beside the malformed ones. They are
 * refused when they are opened, before anything is written anywhere.
 */
t.setTimeout(600_000)

let tried = 0
let refused = 0
let harmless = 0
t.teardown(() => {
  t.comment(
    `${tried} hostile archives: ${refused} refused, ${harmless} are harmless, ${tried - refused - harmless} undetected`
  )
})

const directory = await testFolder(t, 'hostile-')

/** Opens it as an upload or a restore would, reads all of it, and tells why that failed, as code/reason. */
async function refusal(bytes: Buffer): Promise<string> {
  tried += 1
  const path = join(directory, `${tried}.zip`)
  await writeFile(path, bytes)
  const handle = await open(path)
  try {
    const archive = await openArchive(handle, bytes.length, organizationId, testKeys)
    for (const entry of [archive.database, ...archive.files]) {
      if (entry !== null && entry.kind === 'file') for await (const block of archive.read(entry)) void block
    }
    return 'accepted'
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    refused += 1
    return `${error.code}/${error.reason}`
  } finally {
    await handle.close()
    await rm(path)
  }
}

async function harmlessIn(bytes: Buffer): Promise<string> {
  harmless += 1
  return await refusal(bytes)
}

const withEntry = (...entries: ReturnType<typeof file>[]): Buffer => zip(closed([...base(), ...entries]))

t.test('paths that lead out, in every spelling', async t => {
  const names = [
    '..',
    '../x',
    '../../../../etc/passwd',
    'files/..',
    'files/../x',
    'files/acme/..',
    'files/acme/../x',
    'files/acme/../../x',
    'files/acme/a/../../../x',
    'files/acme/./x',
    'files/acme/.',
    'files/acme/b/./../../x',
    'files/acme//x',
    'files//acme/x',
    '/files/acme/x',
    '//server/share/x',
    './files/acme/x',
    '..\\x',
    'files\\acme\\x',
    '\\x',
    '\\\\server\\share\\x',
    '\\\\?\\C:\\x',
    '\\\\.\\pipe\\x',
    'C:\\x',
    'C:/x',
    'c:x',
    'file:///etc/passwd',
    '~/x',
    '~root/x',
    'FILES/acme/x',
    'Files/acme/x',
    'files/acme',
    'files/acmex',
    'files',
    'metadata.json/',
    'SHA256SUMS/x',
    'database.sql',
    'DATABASE.SQL.GZ',
    'files/SMB_BACKUP_INFO.txt/x',
    'files/acme/x\0',
    'files/acme/\0',
    'files/acme/x\0/../y',
    'files/acme/ ../../x/..',
    'files/acme/.dumbassets-backup',
    'files/acme/.dumbassets-backup/x',
    `files/acme/${'x'.repeat(256)}`,
    `files/acme/${'a/'.repeat(2100)}x`,
    `files/acme/${'é'.repeat(128)}`
  ]
  for (const name of names)
    t.match(
      await refusal(withEntry(file(name))),
      'ARCHIVE_INVALID/no-place-in-layout',
      JSON.stringify(name.slice(0, 60))
    )
  for (const name of ['files/Acme/x', 'files/acme2/x', 'files/globex/', 'files/globex/a/b'])
    t.match(await refusal(withEntry(file(name))), 'ARCHIVE_INVALID/another-organization', name)
  for (const bytes of [
    [0xc0, 0xae, 0xc0, 0xae, 0xc0, 0xaf],
    [0xe0, 0x80, 0xaf],
    [0xf0, 0x80, 0x80, 0xaf],
    [0xff],
    [0xed, 0xa0, 0x80]
  ]) {
    t.match(
      await refusal(withEntry(file(Buffer.from([...Buffer.from('files/acme/'), ...bytes, 0x78])))),
      'ARCHIVE_INVALID/name-not-utf8'
    )
  }
  const plain = [
    '%2e%2e',
    '..%2fx',
    '\uff0e\uff0e',
    '..\u2215x',
    '...',
    '. .',
    'x..',
    '..\\x',
    'b\\..\\..\\x',
    'C:x',
    'c:\\x',
    '\\\\server\\share\\x'
  ]
  t.equal(
    await harmlessIn(withEntry(...plain.map(name => file(`files/acme/${name}`)))),
    'accepted',
    'what is only a name on a disk is one here'
  )
})

t.test('names that are one where case or Unicode forms do not count', async t => {
  for (const [one, other] of [
    ['a.txt', 'A.TXT'],
    ['b/c.txt', 'B/c.txt'],
    ['é', 'e\u0301'],
    ['STRASSE', 'straße'],
    ['K', '\u212a'],
    ['İ', 'i\u0307']
  ]) {
    const parents = other === 'B/c.txt' ? [folder('files/acme/B/')] : []
    const known = one === 'a.txt' || one === 'b/c.txt' ? [] : [file(`files/acme/${one}`)]
    t.match(
      await refusal(withEntry(...known, ...parents, file(`files/acme/${other}`))),
      'ARCHIVE_INVALID/names-differ-by-case',
      `${one} ${other}`
    )
  }
  const ours = await archiveBytes(
    [{ path: '' }, { path: 'a', content: '1' }, { path: 'A', content: '2' }],
    {},
    testKeys.current
  )
  t.equal(await harmlessIn(ours), 'accepted', 'in an archive of ours they were two files')
})

t.test('names that the file system takes for one are found before anything is exchanged', async t => {
  const bytes = await archiveBytes([
    { path: '' },
    { path: 'small', content: 'x' },
    { path: 'large', content: Buffer.alloc(1 << 21, 'x') }
  ])
  const archive = await openArchive(await fileWith(t, bytes), bytes.length, organizationId)
  for (const twice of archive.files.filter(({ kind }) => kind === 'file')) {
    const target = join(await testFolder(t), 'target')
    await t.rejects(
      extractFiles({
        archive: { ...archive, files: [...archive.files, twice] },
        organizationId,
        target,
        owner: null,
        signal: new AbortController().signal,
        onBytes() {}
      }),
      { code: 'ARCHIVE_INVALID', reason: 'entry-in-the-way' }
    )
  }
})

t.test('entries that share their bytes', async t => {
  const kernel = Buffer.alloc(1 << 20)
  const first = file('files/acme/0', kernel, { method: 8 })
  const names = Array.from({ length: 500 }, (_, index) => `files/acme/${index + 1}`)
  t.match(
    await refusal(
      zip([
        folder('files/acme/'),
        first,
        ...names.map(name =>
          file(name, kernel, {
            method: 8,
            says: { offset: 47, localName: '', data: Buffer.alloc(0), compressedSize: 1000 }
          })
        )
      ])
    ),
    'ARCHIVE_INVALID/overlapping-entries',
    'all are one'
  )
  t.match(
    await refusal(
      zip([
        folder('files/acme/'),
        ...names.map(name => file(name, '', { method: 8, says: { size: 100_000, compressedSize: 50_000 } }))
      ])
    ),
    /overlapping-entries|ends-too-early/,
    'each quotes the headers of the next'
  )
  t.match(
    await refusal(zip(closed([...base(), file('files/acme/x', 'x', { says: { offset: 1 << 30 } })]))),
    'ARCHIVE_INVALID/bytes-between-entries',
    'beyond the end'
  )
  t.match(
    await refusal(withEntry(file('files/acme/x', wellFormed, { says: { offset: 0 } }))),
    'ARCHIVE_INVALID/overlapping-entries',
    'into the first'
  )
  const quine = zip([file('r/r.zip', wellFormed)])
  t.match(await refusal(quine), 'ARCHIVE_INVALID/no-place-in-layout', 'an archive with an archive')
  let nested = zip([file('0.dll', Buffer.alloc(1 << 20), { method: 8 })])
  for (let level = 0; level < 5; level += 1)
    nested = zip(Array.from({ length: 16 }, (_, index) => file(`lib ${index}.zip`, nested, { method: 8 })))
  t.match(await refusal(nested), 'ARCHIVE_INVALID/no-place-in-layout', '42.zip')
  t.equal(
    await harmlessIn(withEntry(file('files/acme/42.zip', nested))),
    'accepted',
    'and as an upload it is a file that nobody unpacks'
  )
})

t.test('sizes that are not what they say', async t => {
  const emptyBlocks = Buffer.concat([
    Buffer.alloc(32 << 20)
      .fill(Buffer.from([0x00, 0x00, 0x00, 0xff, 0xff]))
      .subarray(0, 33_554_430),
    deflateRawSync('x')
  ])
  t.match(
    await refusal(withEntry(file('files/acme/x', 'x', { method: 8, says: { data: emptyBlocks } }))),
    'ARCHIVE_INVALID/compressed-too-large',
    'blocks of nothing before one byte'
  )
  t.match(
    await refusal(withEntry(file('files/acme/x', Buffer.alloc(64 << 20), { method: 8, says: { size: 100_000 } }))),
    'ARCHIVE_INVALID/larger-than-told'
  )
  t.match(
    await refusal(withEntry(file('files/acme/x', Buffer.alloc(64 << 20), { method: 8, says: { size: 63 << 20 } }))),
    'ARCHIVE_INVALID/larger-than-told'
  )
  const zeros = deflateRawSync(Buffer.alloc(16 << 20), { finishFlush: constants.Z_FULL_FLUSH })
  const bomb = Buffer.concat([...Array<Buffer>(80).fill(zeros), Buffer.from([3, 0])])
  t.match(
    await refusal(withEntry(file('files/acme/x', '', { method: 8, says: { size: 80 << 24, data: bomb } }))),
    'ARCHIVE_INVALID/unpacks-too-large',
    'a bomb that tells the truth'
  )
  const bombs = Array.from({ length: 90 }, (_, index) =>
    file(`files/acme/${index}`, '', {
      method: 8,
      says: { size: 16 << 20, data: Buffer.concat([zeros, Buffer.from([3, 0])]) }
    })
  )
  t.match(await refusal(withEntry(...bombs)), 'ARCHIVE_INVALID/unpacks-too-large', 'in many small ones')
})

t.test('a million empty entries', async t => {
  const count = mostEntries + 1
  const name = Buffer.from('files/acme/0000000')
  const one = zip([file(name.toString())])
  const local = one.subarray(0, 30 + name.length)
  const central = one.subarray(local.length, -22)
  const bytes = Buffer.alloc(count * (local.length + central.length) + 56 + 20 + 22)
  const start = count * local.length
  for (let index = 0; index < count; index += 1) {
    const digits = String(index).padStart(7, '0')
    const at = index * local.length
    const record = start + index * central.length
    local.copy(bytes, at)
    central.copy(bytes, record)
    bytes.write(digits, at + 30 + 11)
    bytes.write(digits, record + 46 + 11)
    bytes.writeUInt32LE(at, record + 42)
  }
  const end = start + count * central.length
  closeZip64(bytes, end, { count: BigInt(count), size: BigInt(count * central.length), offset: BigInt(start) })
  t.match(await refusal(bytes), 'ARCHIVE_INVALID/too-many-entries')
})

function closeZip64(
  bytes: Buffer,
  at: number,
  { count, size, offset }: { count: bigint; size: bigint; offset: bigint }
): void {
  bytes.write('PK\x06\x06', at, 'latin1')
  bytes.writeBigUInt64LE(44n, at + 4)
  bytes.writeUInt16LE(45, at + 14)
  bytes.writeBigUInt64LE(count, at + 24)
  bytes.writeBigUInt64LE(count, at + 32)
  bytes.writeBigUInt64LE(size, at + 40)
  bytes.writeBigUInt64LE(offset, at + 48)
  bytes.write('PK\x06\x07', at + 56, 'latin1')
  bytes.writeBigUInt64LE(BigInt(at), at + 64)
  bytes.writeUInt32LE(1, at + 72)
  bytes.write('PK\x05\x06', at + 76, 'latin1')
  bytes.writeUInt16LE(0xffff, at + 84)
  bytes.writeUInt16LE(0xffff, at + 86)
  bytes.writeUInt32LE(0xffffffff, at + 88)
  bytes.writeUInt32LE(0xffffffff, at + 92)
}

t.test('zip64 fields that are wrong', async t => {
  const end = wellFormed.length - 22
  const truth = {
    count: BigInt(wellFormed.readUInt16LE(end + 10)),
    size: BigInt(wellFormed.readUInt32LE(end + 12)),
    offset: BigInt(wellFormed.readUInt32LE(end + 16))
  }
  const closedWith = (change: Partial<typeof truth>): Buffer => {
    const bytes = Buffer.concat([wellFormed.subarray(0, end), Buffer.alloc(98)])
    closeZip64(bytes, end, { ...truth, ...change })
    return bytes
  }
  const cases = [
    {},
    { count: 0n },
    { count: truth.count + 1n },
    { count: 1n << 40n },
    { count: (1n << 64n) - 1n },
    { size: 0n },
    { size: 1n << 63n },
    { offset: 0n },
    { offset: truth.offset + 1n },
    { offset: 1n << 52n },
    { offset: 1n << 60n },
    { offset: (1n << 64n) - 1n }
  ]
  for (const change of cases)
    t.match(await refusal(closedWith(change)), /^ARCHIVE_INVALID/, Object.entries(change).join())
  const marker = 0xffffffff
  const field = (...parts: Array<number | bigint>): Buffer =>
    Buffer.concat(
      parts.map(part => {
        const bytes = Buffer.alloc(typeof part === 'bigint' ? 8 : 2)
        if (typeof part === 'bigint') bytes.writeBigUInt64LE(part)
        else bytes.writeUInt16LE(part)
        return bytes
      })
    )
  for (const extra of [
    Buffer.alloc(0),
    field(1, 0),
    field(1, 4, 0),
    field(1, 8, 1n),
    field(1, 0xffff, 1n, 1n),
    field(1, 16, 1n, 1n << 62n),
    field(1, 16, (1n << 64n) - 1n, 1n),
    field(1, 16, 1n, 1n),
    field(1, 24, 1n, 1n, 1n << 60n),
    field(2, 16, 1n, 1n),
    field(1, 8, 1n, 1, 8, 1n)
  ]) {
    t.match(
      await refusal(withEntry(file('files/acme/x', 'x', { says: { size: marker, compressedSize: marker, extra } }))),
      /^ARCHIVE_INVALID/,
      extra.toString('hex')
    )
  }
})

t.test('directories and comments that are huge, encryption, and other kinds of entries', async t => {
  const large = Buffer.alloc(65_500, 'x')
  t.match(
    await refusal(
      zip(
        closed(
          Array.from({ length: 300 }, (_, index) =>
            index === 0 ? folder('files/acme/') : file(`files/acme/${index}`, '', { says: { comment: large } })
          )
        )
      )
    ),
    'ARCHIVE_INVALID/directory-changed',
    'a comment for each entry'
  )
  t.match(
    await refusal(
      zip(
        closed(
          Array.from({ length: 300 }, (_, index) =>
            index === 0
              ? folder('files/acme/')
              : file(`files/acme/${index}`, '', {
                  says: { extra: Buffer.concat([Buffer.from([0x75, 0x78, 0xd8, 0xff]), large.subarray(4)]) }
                })
          )
        )
      )
    ),
    /^ARCHIVE_INVALID/,
    'an extra field for each'
  )
  for (const comment of [large, Buffer.concat([large, wellFormed.subarray(-22)]), wellFormed.subarray(0, 60_000)]) {
    const bytes = Buffer.concat([wellFormed, comment])
    bytes.writeUInt16LE(comment.length, wellFormed.length - 2)
    t.match(await refusal(bytes), /^ARCHIVE_INVALID/, 'a comment of the archive')
  }
  t.match(await refusal(Buffer.concat([wellFormed, wellFormed])), /^ARCHIVE_INVALID/, 'two archives in one')
  for (const flags of [0x801, 0x841, 0x2801, 0x2841, 0x2800])
    t.match(
      await refusal(withEntry(file('files/acme/x', 'secret'.repeat(9), { flags, method: 8 }))),
      /encrypted-entry|zip-structure/,
      flags.toString(16)
    )
  for (const method of [1, 6, 9, 12, 14, 93, 95, 97, 98, 99])
    t.match(
      await refusal(withEntry(file('files/acme/x', 'x', { method }))),
      'ARCHIVE_INVALID/unknown-compression',
      String(method)
    )
  for (const type of [0o010000, 0o020000, 0o060000, 0o120000, 0o140000, 0o160000, 0o040000, 0]) {
    t.match(
      await refusal(withEntry(file('files/acme/x', '/etc/passwd', { mode: type | 0o777 }))),
      'ARCHIVE_INVALID/not-a-file-or-folder',
      type.toString(8)
    )
  }
})

t.test('metadata of every wrong type, with prototype keys, huge or nested', async t => {
  const text = (metadata: string): Buffer => zip(closed(base(), { metadata }))
  const whole: Record<string, unknown> = { ...metadataWith(), attributesDigest: '0'.repeat(64) }
  for (const [name, schema] of Object.entries(Metadata.properties)) {
    for (const value of [undefined, null, true, -1, 1.5, 1e300, 'x', '', [], [[]], [null], {}, { length: 1 }]) {
      if (Value.Check(schema, value)) continue
      if (value === undefined && !(Metadata.required as string[]).includes(name)) continue
      t.match(
        await refusal(text(JSON.stringify({ ...whole, [name]: value }))),
        /ARCHIVE_(INVALID|VERSION_UNSUPPORTED)/,
        `${name}: ${JSON.stringify(value)}`
      )
    }
  }
  for (const version of [0, -1, 1.5, 2, 99, 1e300])
    t.match(
      await refusal(text(JSON.stringify({ ...whole, formatVersion: version }))),
      'ARCHIVE_VERSION_UNSUPPORTED',
      String(version)
    )
  const start = JSON.stringify(whole).slice(0, -1)
  for (const key of ['"__proto__"', '"\\u005f_proto__"', '"__proto\\u005f_"']) {
    for (const json of [
      `${start}, ${key}: {"trusted": true}}`,
      `${start}, "x": {${key}: null}}`,
      `{${key}: ${JSON.stringify(whole)}}`
    ])
      t.match(await refusal(text(json)), 'ARCHIVE_INVALID/metadata-proto-key', key)
  }
  t.match(
    await refusal(text(`{"constructor": {"prototype": ${JSON.stringify(whole)}}}`)),
    'ARCHIVE_INVALID/metadata-schema'
  )
  for (const organization of ['globex', 'ACME', 'acme ', 'аcme', '../acme', 'backups', '', '__proto__x/..']) {
    t.match(
      await refusal(zip(closed(base(), { metadata: { organizationId: organization } }))),
      /another-organization|metadata-organization/,
      JSON.stringify(organization)
    )
  }
  for (const [open, close] of [
    ['[', ']'],
    ['{"a":', '}']
  ] as const) {
    const depth = Math.floor((16 << 20) / (open.length + close.length)) - 10
    t.match(
      await refusal(text(`${open.repeat(depth)}1${close.repeat(depth)}`)),
      'ARCHIVE_INVALID/metadata-too-deep',
      '16 MiB of nesting'
    )
  }
  t.match(
    await refusal(zip(closed(base(), { metadata: '['.repeat(100 << 20), own: entry => ({ ...entry, method: 8 }) }))),
    'ARCHIVE_INVALID/own-entry-too-large',
    '100 MB of nesting'
  )
  t.match(
    await refusal(
      zip(
        closed(base(), {
          metadata: '['.repeat(100 << 20),
          own: entry => (entry.name === 'metadata.json' ? { ...entry, method: 8, says: { size: 1 << 20 } } : entry)
        })
      )
    ),
    'ARCHIVE_INVALID/larger-than-told',
    'that says it is less'
  )
  t.match(
    await refusal(zip(closed(base(), { sums: () => 'x'.repeat(300 << 20), own: entry => ({ ...entry, method: 8 }) }))),
    'ARCHIVE_INVALID/own-entry-too-large'
  )
})

t.test('a dump that unpacks to very much is given up in the middle', async t => {
  const member = gzipSync(Buffer.alloc(16 << 20, ' '))
  const dump = Buffer.concat(Array<Buffer>(80).fill(member))
  const bytes = zip(
    closed([file('database.sql.gz', dump)], { metadata: { includesDatabase: true, includesFiles: false } })
  )
  const archive = await openArchive(await fileWith(t, bytes), bytes.length, organizationId, testKeys)
  tried += 1
  let unpacked = 0
  await t.rejects(
    (async () => {
      for await (const block of readDump(archive, archive.database!, () => {})) unpacked += block.length
    })(),
    { code: 'DUMP_INVALID', reason: 'dump-unpacks-too-large' }
  )
  t.ok(unpacked <= 1 << 30)
  refused += 1
  t.equal((await contentOf(archive, archive.database!)).length, dump.length)
})
