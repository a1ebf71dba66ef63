import type postgres from 'postgres'
import { quoteIdentifier as q, quoteLiteral } from '../../src/database/connection/connection.js'

/** Numbers below `n` that follow from a seed (mulberry32). */
export function seeded (seed: number): (n: number) => number {
  let state = seed >>> 0
  return (n) => {
    state = (state + 0x6D2B79F5) >>> 0
    let x = Math.imul(state ^ (state >>> 15), state | 1)
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61)
    return Math.floor(((x ^ (x >>> 14)) >>> 0) / 4294967296 * n)
  }
}

type Random = (n: number) => number

interface Reference { column: string, target: number, required: boolean, action: string }

interface RandomTable {
  name: string
  /** SQL of the key's type; null: the table has no key. */
  key: 'integer' | 'uuid' | 'composite' | null
  owner: 'direct' | 'partial' | 'chain' | 'global'
  references: Reference[]
  columns: Array<{ name: string, type: string, unique: boolean }>
  partitioned: boolean
}

export interface RandomTenants { ids: string[], rootType: string, tables: RandomTable[] }

const types = ['text', 'json', 'jsonb', 'numeric', 'double precision', 'timestamptz', 'bytea', 'integer[]', 'boolean', 'interval', 'varchar(12)']
const names = ['Order Lines', 'tasks', 'a"quote', 'Überfälle', 'select', 'x:y', 'semi;colon', 'back\\slash', 'new\nline']

function pick<Item> (random: Random, items: readonly Item[]): Item {
  return items[random(items.length)]!
}

/** A schema of some tables of every class, tied together at random. */
export function randomTenants (random: Random): RandomTenants {
  const rootType = pick(random, ['text', 'uuid', 'integer'])
  const ids = ['a', 'b', 'c'].map((letter, index) => rootType === 'text' ? letter
    : rootType === 'integer' ? String(index + 1) : `00000000-0000-0000-0000-00000000000${letter}`)
  const tables: RandomTable[] = []
  const count = 3 + random(6)
  for (let number = 0; number < count; number += 1) {
    const keyed = tables.map((table, index) => ({ table, index })).filter(({ table }) => table.key !== null && table.key !== 'composite' && table.owner !== 'global')
    const owner = number === 0 ? 'direct' : pick(random, ['direct', 'direct', 'partial', 'chain', 'chain', 'global'] as const)
    const key = number === 0 ? 'integer' as const : pick(random, ['integer', 'integer', 'uuid', owner === 'direct' ? 'composite' : 'uuid', null] as const)
    const chained = owner === 'chain' ? pick(random, keyed.filter(({ table }) => table.owner !== 'partial')) : undefined
    const references: Reference[] = chained === undefined ? [] : [{ column: 'up', target: chained.index, required: true, action: action(random, true) }]
    if (owner === 'direct' || owner === 'chain') {
      for (let extra = random(3); extra > 0; extra -= 1) {
        // A row of a partial table may belong to nobody, so only its own organization's rows are referred to; see fill().
        const index = keyed.length > 0 ? pick(random, keyed).index : 0
        references.push({ column: `ref${extra}`, target: index, required: false, action: action(random, false) })
      }
      if (key === 'integer' && random(3) === 0) references.push({ column: 'self', target: number, required: false, action: action(random, false) })
    }
    tables.push({
      name: `${pick(random, names)} ${number}`,
      key,
      owner,
      references,
      columns: Array.from({ length: 1 + random(4) }, (_, index) => ({ name: `c ${index}`, type: pick(random, types), unique: false }))
        .concat(key !== null && random(2) === 0 ? [{ name: 'unique', type: 'text', unique: true }] : []),
      partitioned: key === 'integer' && owner === 'direct' && random(5) === 0
    })
  }
  return { ids, rootType, tables: tables.map((table) => table.partitioned ? { ...table, columns: table.columns.filter(({ unique }) => !unique) } : table) }
}

function action (random: Random, required: boolean): string {
  const actions = ['', ' ON DELETE CASCADE', ' ON DELETE RESTRICT', ...(required ? [] : [' ON DELETE SET NULL'])]
  return `${pick(random, actions)}${random(4) === 0 ? ' DEFERRABLE INITIALLY DEFERRED' : ''}`
}

const place = (tenants: RandomTenants, index: number): string => `${index % 3 === 2 ? '"other schema"' : 'public'}.${q(tenants.tables[index]!.name)}`

/** The statements that make it; every third time a trigger writes where it should not. */
export function schemaOf (random: Random, tenants: RandomTenants): string[] {
  const statements = [
    'CREATE SCHEMA "other schema"', 'CREATE TABLE organizations (id ' + tenants.rootType + ' PRIMARY KEY, name text, first integer)',
    'CREATE TABLE journal (id serial PRIMARY KEY, line text)',
    'CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.journal (line) VALUES (TG_TABLE_NAME); RETURN NULL; END $$'
  ]
  for (const [index, table] of tenants.tables.entries()) {
    const parts = [
      ...(table.key === 'integer' ? ['id serial PRIMARY KEY'] : table.key === 'uuid' ? ['id uuid PRIMARY KEY DEFAULT gen_random_uuid()'] : []),
      ...(table.key === 'composite' ? ['n serial', 'PRIMARY KEY (org, n)'] : []),
      ...(table.owner === 'direct' || table.owner === 'partial'
        ? [`org ${tenants.rootType} ${table.owner === 'direct' ? 'NOT NULL ' : ''}REFERENCES organizations ON DELETE CASCADE`] : []),
      ...table.references.map(({ column, target, required }) =>
        `${column} ${tenants.tables[target]!.key === 'uuid' ? 'uuid' : 'integer'}${required ? ' NOT NULL' : ''}`),
      ...table.columns.map(({ name, type, unique }) => `${q(name)} ${type}${unique ? ' NOT NULL UNIQUE' : ''}`),
      ...(random(4) === 0 ? ['doubled text GENERATED ALWAYS AS (\'<\' || \'>\') STORED'] : [])
    ]
    statements.push(`CREATE TABLE ${place(tenants, index)} (${parts.join(', ')})${table.partitioned ? ' PARTITION BY HASH (id)' : ''}`)
    if (table.partitioned) {
      for (const rest of [0, 1]) statements.push(`CREATE TABLE part_${index}_${rest} PARTITION OF ${place(tenants, index)} FOR VALUES WITH (MODULUS 2, REMAINDER ${rest})`)
    }
    if (random(3) === 0) statements.push(`CREATE TRIGGER meddle AFTER INSERT OR UPDATE OR DELETE ON ${place(tenants, index)} FOR EACH ROW EXECUTE FUNCTION meddle()`)
  }
  for (const [index, table] of tenants.tables.entries()) {
    for (const { column, target, action } of table.references) {
      statements.push(`ALTER TABLE ${place(tenants, index)} ADD FOREIGN KEY (${column}) REFERENCES ${place(tenants, target)} (id)${action}`)
    }
  }
  // The first table is keyed by an integer: a cycle with the root.
  return [...statements, `ALTER TABLE organizations ADD FOREIGN KEY (first) REFERENCES ${place(tenants, 0)} (id) ON DELETE SET NULL`]
}

function value (random: Random, type: string): string {
  if (random(6) === 0) return 'NULL'
  const n = random(1000)
  const text = pick(random, ['', 'tab\tand\nline', '\\.', '\\N', 'ünï→', '\'"', '\r', `v${n}`])
  switch (type) {
    case 'json': return quoteLiteral(pick(random, ['{"a":1,"a":2}', '{ "a" : [ ] }', `"${n}"`]))
    case 'jsonb': return quoteLiteral(`{"n": ${n}}`)
    case 'numeric': return pick(random, ['1.0', '1.00', `'NaN'`, `${n}e30`, `-0.${n}`])
    case 'double precision': return pick(random, ['0.1', `'-Infinity'`, `'-0'`, `${n}e-300`])
    case 'timestamptz': return pick(random, [`'infinity'`, `'2026-01-02 03:04:05.678901+05:30'`, `now() - interval '${n} days'`])
    case 'bytea': return `decode(md5('${n}'), 'hex')`
    case 'integer[]': return pick(random, [`'{}'`, `'{1,NULL,${n}}'`, `'[2:3]={1,2}'`])
    case 'boolean': return pick(random, ['true', 'false'])
    case 'interval': return quoteLiteral(`${n} days -3 hours 1.5 seconds`)
    default: return quoteLiteral(text)
  }
}

/** Adds rows of one organization to a table; those that need a row which is not there are left out. */
async function addRows (sql: postgres.TransactionSql, random: Random, tenants: RandomTenants, index: number, id: string | null, count: number): Promise<void> {
  const table = tenants.tables[index]!
  for (let row = 0; row < count; row += 1) {
    const columns: string[] = []
    const values: string[] = []
    const set = (column: string, expression: string): void => { columns.push(column); values.push(expression) }
    if (table.owner === 'direct' || table.owner === 'partial') set('org', id === null ? 'NULL' : quoteLiteral(id))
    for (const { column, target, required } of table.references) {
      if (id !== null && (required || random(2) === 0)) set(column, `(${someRow(random, tenants, target, id)})`)
    }
    for (const { name, type, unique } of table.columns) set(q(name), unique ? quoteLiteral(`${id}-${random(1e9)}`) : value(random, type))
    await attempt(sql, `INSERT INTO ${place(tenants, index)} (${columns.join(', ')}) VALUES (${values.join(', ')})`)
  }
}

/** The ids of an organization's rows of a table, along the path that decides. */
function ownIds (tenants: RandomTenants, index: number, id: string): string {
  const table = tenants.tables[index]!
  if (table.owner !== 'chain') return `SELECT id FROM ${place(tenants, index)} WHERE org = ${quoteLiteral(id)}`
  return `SELECT id FROM ${place(tenants, index)} WHERE up IN (${ownIds(tenants, table.references[0]!.target, id)})`
}

function someRow (random: Random, tenants: RandomTenants, index: number, id: string): string {
  return `SELECT id FROM (${ownIds(tenants, index, id)} ORDER BY id) x OFFSET ${random(3)} LIMIT 1`
}

function ownRows (tenants: RandomTenants, index: number, id: string): string {
  const table = tenants.tables[index]!
  return table.owner === 'chain' ? `up IN (${ownIds(tenants, table.references[0]!.target, id)})` : `org = ${quoteLiteral(id)}`
}

async function attempt (sql: postgres.TransactionSql, statement: string): Promise<void> {
  await sql.savepoint(async (sql) => await sql.unsafe(statement)).catch((error: { code?: string }) => {
    // A constraint that says no is part of the game.
    if (error.code?.startsWith('23') !== true) throw error
  })
}

export async function fill (sql: postgres.Sql, random: Random, tenants: RandomTenants): Promise<void> {
  await sql.begin(async (sql) => {
    for (const id of tenants.ids) await sql.unsafe(`INSERT INTO organizations VALUES (${quoteLiteral(id)}, 'name')`)
    for (const [index, { owner }] of tenants.tables.entries()) {
      if (owner === 'global') await addRows(sql, random, tenants, index, null, 3)
      else for (const id of tenants.ids) await addRows(sql, random, tenants, index, id, 1 + random(8))
      if (owner === 'partial') await addRows(sql, random, tenants, index, null, 2)
    }
    for (const id of tenants.ids) await sql.unsafe(`UPDATE organizations SET first = (${someRow(random, tenants, 0, id)}) WHERE id = ${quoteLiteral(id)}`)
  })
}

/** Removes, changes, adds and exchanges rows of every organization, without breaking the rule of who owns them. */
export async function mutate (sql: postgres.Sql, random: Random, tenants: RandomTenants): Promise<void> {
  await sql.begin(async (sql) => {
    for (const id of tenants.ids) {
      await sql.unsafe(`UPDATE organizations SET name = 'n${random(3)}', first = (${someRow(random, tenants, 0, id)}) WHERE id = ${quoteLiteral(id)}`)
      for (const index of tenants.tables.keys()) {
        if (tenants.tables[index]!.owner !== 'global') await mutateTable(sql, random, tenants, index, id)
      }
    }
    await sql.unsafe('SET CONSTRAINTS ALL IMMEDIATE')
  })
}

async function mutateTable (sql: postgres.TransactionSql, random: Random, tenants: RandomTenants, index: number, id: string): Promise<void> {
  const table = tenants.tables[index]!
  const relation = place(tenants, index)
  const own = ownRows(tenants, index, id)
  const some = `(tableoid, ctid) IN (SELECT tableoid, ctid FROM ${relation} WHERE ${own} ORDER BY ctid OFFSET ${random(3)} LIMIT ${1 + random(3)})`
  const column = pick(random, table.columns.filter(({ unique }) => !unique))
  await attempt(sql, `UPDATE ${relation} SET ${q(column.name)} = ${value(random, column.type)} WHERE ${some}`)
  for (const reference of table.references.filter(({ required }) => !required)) {
    await attempt(sql, `UPDATE ${relation} SET ${reference.column} = (${someRow(random, tenants, reference.target, id)}) WHERE ${some}`)
  }
  if (random(2) === 0) await attempt(sql, `SET CONSTRAINTS ALL IMMEDIATE; DELETE FROM ${relation} WHERE ${some}; SET CONSTRAINTS ALL DEFERRED`)
  if (random(2) === 0) await addRows(sql, random, tenants, index, id, 1 + random(4))
  if (table.columns.some(({ unique }) => unique)) {
    // Every row takes the next one's value, the last the first's.
    const key = table.key === 'composite' ? 'n' : 'id'
    await attempt(sql, `CREATE TEMP TABLE turns AS SELECT ${key} AS key,
        lead("unique", 1, (SELECT min("unique") FROM ${relation} WHERE ${own})) OVER (ORDER BY "unique") AS next FROM ${relation} WHERE ${own};
      UPDATE ${relation} SET "unique" = 'parked ' || ${key} WHERE ${own};
      UPDATE ${relation} SET "unique" = next FROM turns WHERE turns.key = ${key};
      DROP TABLE turns`)
  }
}
