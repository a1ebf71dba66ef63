import type { Sql } from 'postgres'
import { quoteColumns, quoteIdentifier } from '../src/database/identifiers.js'
import { seededRandom, type Random } from './random.js'

export interface SampleRows {
  /** Ids of the organizations to fill. */
  organizations: readonly string[]
  /** Assets of each; every asset brings about ten rows of other tables with it. */
  assetsPerOrganization: number
  /** The same seed gives the same rows. */
  seed: number
}

type Row = Record<string, unknown>
type Rows = Record<string, Row[]>

const things = ['Laptop', 'Projektor', 'Камера', '電動ドリル', 'Forklift', 'Server', 'Printer', 'Désherbeur']
const makers = ['Acme', 'Initech', 'Umbrella', 'Wayne', 'Østergård', "O'Reilly & Sons"]
const statuses = ['OPERATIONAL', 'MAINTENANCE', 'RETIRED', 'LOST'] as const
const roles = ['OWNER', 'MANAGER', 'MEMBER', 'VIEWER'] as const
const epoch = Date.UTC(2023, 0, 1)
const usersPerOrganization = 12

/** Tables in an order in which each one's foreign keys are there already. */
const insertOrder = [
  'organizations',
  'users',
  'settings',
  'locations',
  'assets',
  'sub_assets',
  'components',
  'warranties',
  'maintenance_events',
  'comments',
  'attachments',
  'tags',
  '_AssetToTag',
  'asset_watchers',
  'audit_log'
]

/** Fills the tables of `loadSampleSchema`. */
export async function loadSampleRows(
  sql: Sql,
  { organizations, assetsPerOrganization, seed }: SampleRows
): Promise<void> {
  await insert(
    sql,
    'manufacturers',
    makers.map((name, index) => ({ id: index + 1, name }))
  )
  for (const [index, organizationId] of organizations.entries()) {
    const rows = rowsOf(organizationId, assetsPerOrganization, seededRandom(seed + index))
    for (const table of insertOrder) await insert(sql, table, rows[table] ?? [])
  }
  await sql`SELECT setval('asset_number_seq', ${1000 + assetsPerOrganization})`
  await sql`ANALYZE`
}

/** One statement a batch; json_populate_recordset turns JSON into every column's own type. */
async function insert(sql: Sql, table: string, rows: Row[]): Promise<void> {
  for (let start = 0; start < rows.length; start += 2000) {
    const batch = rows.slice(start, start + 2000)
    const columns = quoteColumns(Object.keys(batch[0]!))
    await sql.unsafe(
      `INSERT INTO ${quoteIdentifier(table)} (${columns})
      SELECT ${columns} FROM json_populate_recordset(null::${quoteIdentifier(table)}, $1::text::json)`,
      [JSON.stringify(batch)]
    )
  }
}

function rowsOf(organizationId: string, assets: number, random: Random): Rows {
  const rows: Rows = Object.fromEntries(insertOrder.map(table => [table, []]))
  const add = (table: string, row: Row): void => {
    rows[table]!.push(row)
  }
  const day = (): string => new Date(epoch + random.integer(1000) * 86_400_000).toISOString()

  add('organizations', { id: organizationId, name: `Organization ${organizationId}`, createdAt: day() })
  const users = Array.from({ length: usersPerOrganization }, (_, n) => `${organizationId}-user-${n}`)
  for (const [n, id] of users.entries()) {
    add('users', {
      id,
      organizationId,
      email: `user${n}@${organizationId}.example`,
      fullName: `${random.pick(things)} Tester ${n}`,
      role: roles[Math.min(n, 3)],
      preferences: { theme: random.pick(['dark', 'light']), pageSize: 10 + n },
      lastLoginAt: n % 3 === 0 ? null : day(),
      isActive: n % 7 !== 6
    })
  }
  for (const key of ['currency', 'timezone', 'retention']) {
    add('settings', { organizationId, key, value: { key, number: random.integer(100), nested: [1, null, 'zwei'] } })
  }
  const locations = Array.from({ length: 10 }, (_, n) => `${organizationId}-location-${n}`)
  for (const [n, id] of locations.entries()) {
    add('locations', {
      id,
      organizationId,
      parentId: n === 0 ? null : locations[(n - 1) >> 1],
      name: `Room ${n}`,
      coordinates: `(${random.integer(90)}.5,${random.integer(180)}.25)`
    })
  }
  const tags = Array.from({ length: 8 }, (_, n) => `${organizationId}-tag-${n}`)
  for (const [n, id] of tags.entries()) add('tags', { id, organizationId, name: `tag ${n}` })

  for (let n = 0; n < assets; n++) addAsset({ add, day, random, organizationId, users, locations, tags }, n)
  return rows
}

interface Organization {
  add: (table: string, row: Row) => void
  day: () => string
  random: Random
  organizationId: string
  users: string[]
  locations: string[]
  tags: string[]
}

function addAsset({ add, day, random, organizationId, users, locations, tags }: Organization, n: number): void {
  const assetId = `${organizationId}-asset-${n}`
  const createdAt = day()
  add('assets', {
    id: assetId,
    organizationId,
    number: 1000 + n,
    locationId: n % 9 === 0 ? null : random.pick(locations),
    assigneeId: n % 4 === 0 ? null : random.pick(users),
    name: `${random.pick(things)} ${n}`,
    status: random.pick(statuses),
    serialNumber: random.bytes(6).toString('hex'),
    purchasePrice: `${random.integer(10_000)}.${10 + random.integer(90)}`,
    purchasedOn: day().slice(0, 10),
    specifications: { weight: random.integer(500), maker: random.pick(makers), tested: n % 2 === 0 },
    labels: [random.pick(things), 'with, comma', 'with "quote"'],
    fingerprint: `\\x${random.bytes(16).toString('hex')}`,
    notes: n % 5 === 0 ? 'Line one\nline two\twith a tab and a \\ backslash' : null,
    createdAt,
    updatedAt: createdAt
  })
  const subAsset = `${assetId}-sub`
  add('sub_assets', { id: subAsset, assetId, parentId: null, name: 'Main unit' })
  add('sub_assets', { id: `${subAsset}-sub`, assetId, parentId: subAsset, name: 'Part of the main unit' })
  for (let part = 0; part < 2; part++) {
    add('components', {
      id: `${assetId}-component-${part}`,
      assetId,
      subAssetId: part === 0 ? null : subAsset,
      name: `Component ${part}`,
      quantity: 1 + random.integer(9),
      unitPrice: `${random.integer(900)}.1234`
    })
  }
  add('warranties', {
    id: `${assetId}-warranty`,
    assetId,
    provider: random.pick(makers),
    covered: `[${createdAt.slice(0, 10)},2030-01-01)`
  })
  add('maintenance_events', {
    assetId,
    performedById: random.pick(users),
    title: 'Yearly check',
    scheduledFor: day(),
    duration: `${1 + random.integer(8)} hours`,
    cost: `${random.integer(1000)}.5`
  })
  add('comments', {
    id: `${assetId}-comment`,
    assetId,
    authorId: random.pick(users),
    body: 'Works. «Très bien» ✓',
    createdAt: day()
  })
  add('attachments', {
    id: `${assetId}-attachment`,
    organizationId,
    assetId: n % 6 === 0 ? null : assetId,
    fileName: `photo-${n}.jpg`,
    mimeType: 'image/jpeg',
    sizeBytes: random.integer(5_000_000)
  })
  add('_AssetToTag', { A: assetId, B: random.pick(tags) })
  add('asset_watchers', { assetId, userId: random.pick(users), since: day() })
  add('audit_log', { organizationId, action: 'asset.created', entityId: assetId, change: { to: n }, at: createdAt })
}
