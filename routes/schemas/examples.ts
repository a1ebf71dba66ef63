import type { TenancyReport } from '../../src/database/tenancy/tenant-graph.js'
import type { Job } from '../../src/jobs/job.js'
import type { RestoreReport, RestoreResult, RestoreSummary } from '../../src/restore/report.js'
import type { BackupAnswer } from '../../src/repository/view.js'
import type { DeleteResult } from './deleted.js'

const backupId = '7d4f2c1e-98a3-4b57-8f2e-6c0b1d9e3a54'
const restoreId = '3b8e5d7a-1f46-4c29-9a0d-2e7f6b5c4d83'

const backup: BackupAnswer = {
  object: 'backup',
  id: backupId,
  timestamp: '2026-03-14T09:26:53.589Z',
  createdBy: 'olivia@example.com',
  organizationId: 'acme',
  type: 'full',
  size: 48_219_004,
  checksum: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
  trusted: true,
  signedBy: '5f0c3a9e7d21b846',
  databaseType: 'embedded',
  databaseScope: 'instance',
  fileStorageType: 'local',
  includesDatabase: true,
  includesFiles: true,
  description: 'Before the inventory import',
  version: '0.1.0',
  counts: { tables: 39, rows: 206_114, files: 812, bytes: 61_204_733 },
  warnings: [],
  state: 'available'
}

const restoreReport: RestoreReport = {
  database: {
    mode: 'swap',
    scope: 'instance',
    tables: [
      { table: 'public.assets', rows: 1204, added: 12, changed: 3, removed: 0, unchanged: 1189, comparedBy: 'key' }
    ],
    missingRoles: [],
    missingExtensions: []
  },
  files: {
    folders: [
      { folder: '.', files: 812, added: 1, changed: 0, removed: 2, unchanged: 811, sample: ['+ photos/forklift.jpg'] }
    ]
  },
  disk: [{ place: 'database', neededBytes: 92_000_000, availableBytes: 51_000_000_000 }],
  outageMs: 84,
  durationMs: 5120,
  checkpointUntil: '2026-03-15T10:00:05.120Z',
  warnings: []
}

const restoreResult: RestoreResult = {
  object: 'restore',
  message: 'Restore completed successfully',
  backupId,
  restoreId,
  restoredAt: '2026-03-14T10:00:05.120Z',
  dryRun: false,
  report: restoreReport
}

const restoreSummary: RestoreSummary = {
  restoreId,
  backupId,
  organizationId: 'acme',
  startedBy: 'olivia@example.com',
  startedAt: '2026-03-14T10:00:00.000Z',
  state: 'done',
  dryRun: false,
  undoable: true,
  report: restoreReport
}

const job: Job = {
  object: 'job',
  id: 'c2a9e6f4-5b17-4d38-b6e1-0f9a8c7d6e52',
  kind: 'create',
  organizationId: 'acme',
  startedBy: 'olivia@example.com',
  state: 'running',
  phase: 'files',
  bytesDone: 31_457_280,
  bytesTotal: 61_204_733,
  cancellable: true,
  startedAt: '2026-03-14T09:26:53.589Z'
}

const tenancyReport: TenancyReport = {
  tenantTable: 'public.organizations',
  tables: [
    { table: 'public.organizations', class: 'root', path: [], key: ['id'] },
    {
      table: 'public.assets',
      class: 'direct',
      path: ['public.assets (organizationId) → public.organizations (id)'],
      key: ['id']
    },
    { table: 'public.manufacturers', class: 'global', path: [], key: ['id'] }
  ],
  obstacles: [],
  notes: [
    'No foreign key leads from these tables to the tenant table, so they are in no backup of one organization: public.manufacturers.'
  ]
}

const deleteResult: DeleteResult = { message: 'Backup deleted successfully', backupId }

/** One example of each shared schema, by its name. */
export const examples: Record<string, object> = {
  Backup: backup,
  RestoreReport: restoreReport,
  RestoreResult: restoreResult,
  RestoreSummary: restoreSummary,
  TenancyReport: tenancyReport,
  Job: job,
  DeleteResult: deleteResult
}
