import { mkdir, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { seededRandom, type Random } from './random.js'

export interface SampleFiles {
  /** How many files besides the special ones. */
  files: number
  /** The same seed gives the same bytes, names and times. */
  seed: number
}

const kinds: Record<string, (random: Random) => Buffer> = {
  txt: random => Buffer.from(`Note ${random.integer(1e6)}\n`.repeat(1 + random.integer(200))),
  json: random =>
    Buffer.from(JSON.stringify({ id: random.integer(1e6), tags: ['ä', '✓'], values: [...random.bytes(64)] })),
  csv: random =>
    Buffer.from(
      Array.from(
        { length: 1 + random.integer(300) },
        (_, n) => `${n},"item, ${random.integer(99)}",${random.integer(1e6)}\n`
      ).join('')
    ),
  png: random =>
    Buffer.concat([
      Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
      random.bytes(2000 + random.integer(60_000))
    ]),
  jpg: random => Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe0]), random.bytes(5000 + random.integer(90_000))]),
  pdf: random =>
    Buffer.concat([Buffer.from('%PDF-1.7\n'), random.bytes(3000 + random.integer(30_000)), Buffer.from('\n%%EOF\n')])
}
const folders = [
  'assets',
  'assets/photos',
  'assets/photos/2024',
  'invoices',
  'manuals/de/alt',
  'Bilder und Töne',
  '資料'
]
const bigFileBytes = 5 * 1024 * 1024
const epoch = Date.UTC(2023, 0, 1) / 1000

/**
 * Writes an organization's uploads below `{uploadDir}/{organizationId}`: mixed kinds, odd names, an empty file and an
 * empty folder.
 */
export async function writeSampleFiles(
  uploadDir: string,
  organizationId: string,
  { files, seed }: SampleFiles
): Promise<void> {
  const root = path.join(uploadDir, organizationId)
  const random = seededRandom(seed)
  const extensions = Object.keys(kinds)

  async function write(name: string, content: Buffer, mode = 0o644): Promise<void> {
    const target = path.join(root, name)
    await mkdir(path.dirname(target), { recursive: true })
    await writeFile(target, content, { mode })
    const time = epoch + random.integer(80_000_000)
    await utimes(target, time, time)
  }

  for (let n = 0; n < files; n++) {
    const extension = extensions[n % extensions.length]!
    await write(`${random.pick(folders)}/upload-${n}.${extension}`, kinds[extension]!(random))
  }
  await write('logo.png', kinds.png!(random))
  await write('empty.txt', Buffer.alloc(0))
  await write("name with spaces, 'quotes' & ünïcödé 🦊.txt", Buffer.from('Fuchs\n'))
  await write('-leading-dash.txt', Buffer.from('a name that looks like an option\n'))
  await write('private/contract.pdf', kinds.pdf!(random), 0o600)
  await write('videos/tour.mp4', random.bytes(bigFileBytes))
  await mkdir(path.join(root, 'empty folder/inner'), { recursive: true })
}
