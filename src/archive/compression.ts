import { deflateRawSync } from 'node:zlib'
import compressible from 'compressible'
import mime from 'mime-types'

export type Compression = 'fast' | 'balanced' | 'small'

/** zlib levels. Level 1 is three times as fast as 6 for about a tenth more bytes on SQL and text. */
export const compressionLevels: Record<Compression, number> = { fast: 1, balanced: 4, small: 9 }

const probeBytes = 4096

/**
 * Whether deflating pays: by the type that the name tells, else by trying the first block.
 * A type that is compressed already (images, video, archives, office documents) is stored.
 */
export function isWorthDeflating(name: string, firstBlock: Buffer): boolean {
  if (firstBlock.length < 64) return false
  const type = mime.lookup(name)
  if (type !== false && type !== 'application/octet-stream') {
    const known = compressible(type)
    if (known !== undefined) return known
  }
  const probe = firstBlock.subarray(0, probeBytes)
  return deflateRawSync(probe, { level: 1 }).length < probe.length * 0.9
}
