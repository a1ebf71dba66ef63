import { randomUUID } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { Backup } from '../src/repository/record.js'

/** Records as the repository keeps them (src/repository/local.ts), each beside an archive that nothing reads. */
export async function makeRecords(
  backupDir: string,
  { organizationId, count }: { organizationId: string; count: number }
): Promise<void> {
  const folder = path.join(backupDir, organizationId)
  await mkdir(folder, { recursive: true })
  for (let number = 1; number <= count; number += 1) {
    const id = randomUUID()
    const record: Backup = {
      id,
      timestamp: new Date(Date.UTC(2024, 0, 1) + number * 3_600_000).toISOString(),
      createdBy: 'olivia@example.com',
      organizationId,
      type: 'full',
      size: 734_003_200 + number,
      checksum: id.replaceAll('-', '').repeat(2),
      trusted: true,
      databaseType: 'embedded',
      databaseScope: 'instance',
      fileStorageType: 'local',
      includesDatabase: true,
      includesFiles: true,
      description: `The nightly backup number ${number}`,
      version: '0.1.0',
      counts: { tables: 39, rows: 1_200_000 + number, files: 20_300, bytes: 1_400_000_000 },
      warnings: [],
      state: 'available'
    }
    await writeFile(path.join(folder, `backup-${id}.json`), JSON.stringify(record, null, 2) + '\n')
    await writeFile(path.join(folder, `backup-${id}.zip`), '')
  }
}
