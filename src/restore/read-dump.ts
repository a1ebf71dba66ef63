import { pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { AppError, systemCode } from '../errors.js'

/** What a stranger's dump may unpack to: so many times what it is, and a GiB in any case. */
const mostTimes = 100
const alwaysFine = 1 << 30

/**
 * The dump in an archive as plain SQL, checked against its SHA-256 with the last byte.
 * @param onBytes told the compressed bytes as they are read
 * @throws AppError DUMP_INVALID, CHECKSUM_MISMATCH, ARCHIVE_INVALID
 */
export async function* readDump<Entry extends { size: number }>(
  archive: { trusted: boolean; read: (entry: Entry) => AsyncIterable<Buffer> },
  dump: Entry,
  onBytes: (bytes: number) => void
): AsyncGenerator<Buffer> {
  async function* compressed(): AsyncGenerator<Buffer> {
    for await (const block of archive.read(dump)) {
      onBytes(block.length)
      yield block
    }
  }
  try {
    // The reader of the result gets the source's error from it; the callback is only there because pipeline wants one.
    let bytes = 0
    for await (const block of pipeline(
      compressed(),
      createGunzip({ chunkSize: 1 << 18 }),
      () => {}
    ) as AsyncIterable<Buffer>) {
      bytes += block.length
      if (!archive.trusted && bytes > Math.max(alwaysFine, dump.size * mostTimes)) {
        throw new AppError(
          'DUMP_INVALID',
          'dump-unpacks-too-large',
          `The database dump unpacks to more than ${mostTimes} times its size.`
        )
      }
      yield block
    }
  } catch (error) {
    if (systemCode(error)?.startsWith('Z_') !== true) throw error
    throw new AppError('DUMP_INVALID', 'dump-not-gzip', 'The database dump in the archive is not whole gzip data.', {
      cause: error
    })
  }
}
