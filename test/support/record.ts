import { randomUUID } from 'node:crypto'
import { recordOf, type Backup } from '../../src/repository/record.js'
import { keyId } from '../../src/archive/signature.js'
import { metadataWith } from './archive.js'
import { testKeys } from './core.js'

/** A backup's record, without an archive behind it. */
export function testRecord(change: Partial<Backup> = {}): Backup {
  return {
    ...recordOf(metadataWith({ id: randomUUID() }), {
      size: 0,
      checksum: '0'.repeat(64),
      signedBy: keyId(testKeys.current)
    }),
    ...change
  }
}
