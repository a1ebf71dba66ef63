import type { Backup } from './record.js'

type Read = (organizationId: string, backupId: string) => Promise<Backup | null>

const mostRecords = 2000
/** Of warnings. A record with thousands of them is read again each time, so that memory stays within a few MB. */
const mostCharacters = 4096

export interface RecordCache {
  read: Read
  /** To be called after a record was written or removed: what is being read at that moment may be the old one. */
  forget(organizationId: string, backupId: string): void
  clear(): void
}

/**
 * Keeps the records that were read last, for pages that many clients look at: a page of 50 would be 50 files each time.
 */
export function createRecordCache(read: Read): RecordCache {
  const kept = new Map<string, Promise<Backup | null>>()

  function drop(key: string, reading: Promise<Backup | null>): void {
    if (kept.get(key) === reading) kept.delete(key)
  }

  return {
    async read(organizationId, backupId) {
      const key = keyOf(organizationId, backupId)
      const reading = kept.get(key) ?? read(organizationId, backupId)
      // Once more to the end, where the last used ones are.
      kept.delete(key)
      kept.set(key, reading)
      if (kept.size > mostRecords) kept.delete(kept.keys().next().value as string)
      try {
        const record = await reading
        if (record === null || isLarge(record)) drop(key, reading)
        return record
      } catch (error) {
        drop(key, reading)
        throw error
      }
    },
    forget(organizationId, backupId) {
      kept.delete(keyOf(organizationId, backupId))
    },
    clear() {
      kept.clear()
    }
  }
}

function keyOf(organizationId: string, backupId: string): string {
  return `${organizationId}/${backupId}`
}

/** By the one part that has no limit. */
function isLarge({ warnings }: Backup): boolean {
  return warnings.reduce((sum, warning) => sum + warning.length, 0) > mostCharacters
}
