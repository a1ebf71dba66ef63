import type postgres from 'postgres'
import { quoteIdentifier as q, quoteLiteral } from '../../src/database/identifiers.js'

/** Numbers below `n` that follow from a seed (mulberry32). */
export function seeded(seed: number): (n: number) => number {
  let state = seed >>> 0
  return n => {
    state = (state + 0x6d2b79f5) >>> 0
    let x = Math.imul(state ^ (state >>> 15), state | 1)
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61)
    return Math.floor((((x ^ (x >>> 14)) >>> 0) / 4294967296) * n)
  }
}

type Random = (n: number) => number

/** `to` is the column of the target that it leads to. */
interface Reference {
  column: string
  target: number
  to: string
  required: boolean
  action: string
}

interface RandomTable {
  name: string
  /** SQL of the key's type; null: the table has no key. */
  key: 'integer' | 'uuid' | 'composite' | null
  owner: 'direct' | 'partial' | 'chain' | 'global'
  references: Reference[]
  columns: Array<{ name: string; type: string; unique: boolean }>
  /** Unique columns that others may lead to. */
  codes: string[]
  partitioned: boolean
}

export interface RandomTenants {
  ids: string[]
  rootType: string
  tables: RandomTable[]
  /** The table that comes after the backup, which no other one leads to; null: none. */
  newer: number | null
}

const types = [
  'text',
  'json',
  'jsonb',
  'numeric',
  'double precision',
  'timestamptz',
  'bytea',
  'integer[]',
  'boolean',
  'interval',
  'varchar(12)'
]
const names = [
  'Order Lines',
  'tasks',
  'a"quote',
  'Überfälle',
  'select',
  'x:y',
  'semi;colon',
  'back\\slash',
  'new\nline'
]

function pick<Item>(random: Random, items: readonly Item[]): Item {
  return items[random(items.length)]!
}

/** A schema of some tables of every class, tied together at random. */
export function randomTenants(random: Random): RandomTenants {
  const rootType = pick(random, ['text', 'uuid', 'integer'])
  const ids = ['a', 'b', 'c'].map((letter, index) =>
    rootType === 'text'
      ? letter
      : rootType === 'integer'
        ? String(index + 1)
        : `00000000-0000-0000-0000-00000000000${letter}`
  )
  const tables: RandomTable[] = []
  const count = 3 + random(6)
  for (let number = 0; number < count; number += 1) {
    const keyed = tables
      .map((table, index) => ({ table, index }))
      .filter(({ table }) => table.key !== null && table.key !== 'composite' && table.owner !== 'global')
    const owner =
      number === 0 ? 'direct' : pick(random, ['direct', 'direct', 'partial', 'chain', 'chain', 'global'] as const)
    const key =
      number === 0
        ? ('integer' as const)
        : pick(random, ['integer', 'integer', 'uuid', owner === 'direct' ? 'composite' : 'uuid', null] as const)
    const chained =
      owner === 'chain'
        ? pick(
            random,
            keyed.filter(({ table }) => table.owner !== 'partial')
          )
        : undefined
    const references: Reference[] =
      chained === undefined
        ? []
        : [
            {
              column: 'up',
              target: chained.index,
              to: target(random, chained.table),
              required: true,
              action: action(random, true)
            }
          ]
    const partitioned = key === 'integer' && owner === 'direct' && random(5) === 0
    const codes = partitioned || owner === 'global' ? [] : ['code 1', 'code 2'].slice(0, random(3))
    if (owner === 'direct' || owner === 'chain') {
      for (let extra = random(3); extra > 0; extra -= 1) {
        // A row of a partial table may belong to nobody, so only its own organization's rows are referred to; see
        // fill().
        const index = keyed.length > 0 ? pick(random, keyed).index : 0
        references.push({
          column: `ref${extra}`,
          target: index,
          to: tables[index] === undefined ? 'id' : target(random, tables[index]),
          required: false,
          action: action(random, false)
        })
      }
      const coded = tables.map((table, index) => ({ table, index })).filter(({ table }) => table.codes.length > 0)
      for (let extra = coded.length === 0 ? 0 : random(3); extra > 0; extra -= 1) {
        const { table, index } = pick(random, coded)
        references.push({
          column: `by${extra}`,
          target: index,
          to: pick(random, table.codes),
          required: false,
          action: action(random, false)
        })
      }
      if (key === 'integer' && random(3) === 0)
        references.push({ column: 'self', target: number, to: 'id', required: false, action: action(random, false) })
      if (codes.length > 0 && random(4) === 0)
        references.push({
          column: 'self code',
          target: number,
          to: codes[0]!,
          required: false,
          action: action(random, false)
        })
    }
    tables.push({
      name: `${pick(random, names)} ${number}`,
      key,
      owner,
      references,
      columns: Array.from({ length: 1 + random(4) }, (_, index) => ({
        name: `c ${index}`,
        type: pick(random, types),
        unique: false
      })).concat(key !== null && random(2) === 0 ? [{ name: 'unique', type: 'text', unique: true }] : []),
      codes,
      partitioned
    })
  }
  const newer = random(2) === 0 && tables[count - 1]!.owner !== 'global' ? count - 1 : null
  return {
    ids,
    rootType,
    newer,
    tables: tables.map(table =>
      table.partitioned ? { ...table, columns: table.columns.filter(({ unique }) => !unique) } : table
    )
  }
}

function action(random: Random, required: boolean): string {
  const actions = ['', 'CASCADE', 'CASCADE', 'RESTRICT', ...(required ? [] : ['SET NULL', 'SET DEFAULT'])]
  const [onDelete, onUpdate] = [pick(random, actions), pick(random, actions)]
  return `${onDelete === '' ? '' : ` ON DELETE ${onDelete}`}${onUpdate === '' ? '' : ` ON UPDATE ${onUpdate}`}${random(4) === 0 ? ' DEFERRABLE INITIALLY DEFERRED' : ''}`
}

function target(random: Random, { codes }: RandomTable): string {
  return codes.length > 0 && random(2) === 0 ? pick(random, codes) : 'id'
}

const place = (tenants: RandomTenants, index: number): string =>
  `${index % 3 === 2 ? '"other schema"' : 'public'}.${q(tenants.tables[index]!.name)}`

/** The statements that make it, and those of the newer table; every third time a trigger writes where it should not. */
export function schemaOf(random: Random, tenants: RandomTenants): { first: string[]; newer: string[] } {
  const newer: string[] = []
  const first = [
    'CREATE SCHEMA "other schema"',
    'CREATE TABLE organizations (id ' + tenants.rootType + ' PRIMARY KEY, name text, first integer)',
    'CREATE TABLE journal (id serial PRIMARY KEY, line text)',
    'CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.journal (line) VALUES (TG_TABLE_NAME); RETURN NULL; END $$'
  ]
  for (const [index, table] of tenants.tables.entries()) {
    const statements = index === tenants.newer ? newer : first
    const parts = [
      ...(table.key === 'integer'
        ? [
            `id ${pick(random, ['serial', 'serial', 'integer GENERATED ALWAYS AS IDENTITY', 'integer GENERATED BY DEFAULT AS IDENTITY'])} PRIMARY KEY`
          ]
        : table.key === 'uuid'
          ? ['id uuid PRIMARY KEY DEFAULT gen_random_uuid()']
          : []),
      ...(table.key === 'composite' ? ['n serial', 'PRIMARY KEY (org, n)'] : []),
      ...(table.owner === 'direct' || table.owner === 'partial'
        ? [
            `org ${tenants.rootType} ${table.owner === 'direct' ? 'NOT NULL ' : ''}REFERENCES organizations ON DELETE CASCADE`
          ]
        : []),
      ...table.references.map(
        ({ column, target, to, required }) =>
          `${q(column)} ${to !== 'id' ? 'text' : tenants.tables[target]!.key === 'uuid' ? 'uuid' : 'integer'}${required ? ' NOT NULL' : ''}`
      ),
      ...table.codes.map(
        code =>
          `${q(code)} text UNIQUE${random(2) === 0 ? ' NOT NULL' : ''}${random(5) === 0 ? ` CHECK (${q(code)} <> '')` : ''}`
      ),
      ...table.columns.map(({ name, type, unique }) => `${q(name)} ${type}${unique ? ' NOT NULL UNIQUE' : ''}`),
      ...(random(4) === 0 ? ["doubled text GENERATED ALWAYS AS ('<' || '>') STORED"] : [])
    ]
    statements.push(
      `CREATE TABLE ${place(tenants, index)} (${parts.join(', ')})${table.partitioned ? ' PARTITION BY HASH (id)' : ''}`
    )
    if (table.partitioned) {
      for (const rest of [0, 1])
        statements.push(
          `CREATE TABLE part_${index}_${rest} PARTITION OF ${place(tenants, index)} FOR VALUES WITH (MODULUS 2, REMAINDER ${rest})`
        )
    }
    if (random(3) === 0)
      statements.push(
        `CREATE TRIGGER meddle AFTER INSERT OR UPDATE OR DELETE ON ${place(tenants, index)} FOR EACH ROW EXECUTE FUNCTION meddle()`
      )
  }
  for (const [index, table] of tenants.tables.entries()) {
    const statements = index === tenants.newer ? newer : first
    for (const { column, target, to, action } of table.references) {
      statements.push(
        `ALTER TABLE ${place(tenants, index)} ADD FOREIGN KEY (${q(column)}) REFERENCES ${place(tenants, target)} (${q(to)})${action}`
      )
    }
  }
  // The first table is keyed by an integer: a cycle with the root.
  first.push(
    `ALTER TABLE organizations ADD FOREIGN KEY (first) REFERENCES ${place(tenants, 0)} (id) ON DELETE SET NULL`
  )
  return { first, newer }
}

function value(random: Random, type: string): string {
  if (random(6) === 0) return 'NULL'
  const n = random(1000)
  const text = pick(random, ['', 'tab\tand\nline', '\\.', '\\N', 'ünï→', '\'"', '\r', `v${n}`])
  switch (type) {
    case 'json':
      return quoteLiteral(pick(random, ['{"a":1,"a":2}', '{ "a" : [ ] }', `"${n}"`]))
    case 'jsonb':
      return quoteLiteral(`{"n": ${n}}`)
    case 'numeric':
      return pick(random, ['1.0', '1.00', `'NaN'`, `${n}e30`, `-0.${n}`])
    case 'double precision':
      return pick(random, ['0.1', `'-Infinity'`, `'-0'`, `${n}e-300`])
    case 'timestamptz':
      return pick(random, [`'infinity'`, `'2026-01-02 03:04:05.678901+05:30'`, `now() - interval '${n} days'`])
    case 'bytea':
      return `decode(md5('${n}'), 'hex')`
    case 'integer[]':
      return pick(random, [`'{}'`, `'{1,NULL,${n}}'`, `'[2:3]={1,2}'`])
    case 'boolean':
      return pick(random, ['true', 'false'])
    case 'interval':
      return quoteLiteral(`${n} days -3 hours 1.5 seconds`)
    default:
      return quoteLiteral(text)
  }
}

/** Adds rows of one organization to a table; those that need a row which is not there are left out. */
async function addRows(
  sql: postgres.TransactionSql,
  random: Random,
  tenants: RandomTenants,
  index: number,
  id: string | null,
  count: number,
  given = new Map<string, string>()
): Promise<void> {
  const table = tenants.tables[index]!
  for (let row = 0; row < count; row += 1) {
    const columns: string[] = []
    const values: string[] = []
    const set = (column: string, expression: string): void => {
      columns.push(column)
      values.push(expression)
    }
    if (table.owner === 'direct' || table.owner === 'partial') set('org', id === null ? 'NULL' : quoteLiteral(id))
    for (const { column, target, to, required } of table.references) {
      if (id !== null && (required || random(2) === 0)) set(q(column), `(${someRow(random, tenants, target, id, to)})`)
    }
    for (const code of table.codes)
      set(q(code), given.get(code) ?? (id === null ? 'NULL' : quoteLiteral(`${id}-${random(1e9)}`)))
    for (const { name, type, unique } of table.columns)
      set(q(name), unique ? quoteLiteral(`${id}-${random(1e9)}`) : value(random, type))
    await attempt(sql, `INSERT INTO ${place(tenants, index)} (${columns.join(', ')}) VALUES (${values.join(', ')})`)
  }
}

/** A column of an organization's rows of a table, along the path that decides. */
function ownValues(tenants: RandomTenants, index: number, id: string, column: string): string {
  return `SELECT ${q(column)} FROM ${place(tenants, index)} WHERE ${ownRows(tenants, index, id)}`
}

function someRow(random: Random, tenants: RandomTenants, index: number, id: string, column: string): string {
  return `SELECT ${q(column)} FROM (${ownValues(tenants, index, id, column)} ORDER BY 1) x OFFSET ${random(3)} LIMIT 1`
}

function ownRows(tenants: RandomTenants, index: number, id: string): string {
  const {
    owner,
    references: [up]
  } = tenants.tables[index]!
  return owner === 'chain' ? `up IN (${ownValues(tenants, up!.target, id, up!.to)})` : `org = ${quoteLiteral(id)}`
}

async function attempt(sql: postgres.TransactionSql, statement: string): Promise<void> {
  await sql
    .savepoint(async sql => await sql.unsafe(statement))
    .catch((error: { code?: string }) => {
      // A constraint that says no is part of the game.
      if (error.code?.startsWith('23') !== true) throw error
    })
}

export async function fill(sql: postgres.Sql, random: Random, tenants: RandomTenants): Promise<void> {
  await sql.begin(async sql => {
    for (const id of tenants.ids) await sql.unsafe(`INSERT INTO organizations VALUES (${quoteLiteral(id)}, 'name')`)
    for (const index of tenants.tables.keys()) if (index !== tenants.newer) await fillTable(sql, random, tenants, index)
    for (const id of tenants.ids)
      await sql.unsafe(
        `UPDATE organizations SET first = (${someRow(random, tenants, 0, id, 'id')}) WHERE id = ${quoteLiteral(id)}`
      )
  })
}

async function fillTable(
  sql: postgres.TransactionSql,
  random: Random,
  tenants: RandomTenants,
  index: number
): Promise<void> {
  const { owner } = tenants.tables[index]!
  if (owner === 'global') await addRows(sql, random, tenants, index, null, 3)
  else for (const id of tenants.ids) await addRows(sql, random, tenants, index, id, 1 + random(8))
  if (owner === 'partial') await addRows(sql, random, tenants, index, null, 2)
}

/** Makes the table that the backup does not have. */
export async function addNewer(
  sql: postgres.Sql,
  random: Random,
  tenants: RandomTenants,
  statements: readonly string[]
): Promise<void> {
  await sql.begin(async sql => {
    for (const statement of statements) await sql.unsafe(statement)
    if (tenants.newer !== null) await fillTable(sql, random, tenants, tenants.newer)
  })
}

/** Removes, changes, adds and exchanges rows of every organization, without breaking the rule of who owns them. */
export async function mutate(sql: postgres.Sql, random: Random, tenants: RandomTenants): Promise<void> {
  await sql.begin(async sql => {
    for (const id of tenants.ids) {
      await sql.unsafe(
        `UPDATE organizations SET name = 'n${random(3)}', first = (${someRow(random, tenants, 0, id, 'id')}) WHERE id = ${quoteLiteral(id)}`
      )
      for (const index of tenants.tables.keys()) {
        if (tenants.tables[index]!.owner !== 'global') await mutateTable(sql, random, tenants, index, id)
      }
    }
    await sql.unsafe('SET CONSTRAINTS ALL IMMEDIATE')
  })
}

async function mutateTable(
  sql: postgres.TransactionSql,
  random: Random,
  tenants: RandomTenants,
  index: number,
  id: string
): Promise<void> {
  const table = tenants.tables[index]!
  const relation = place(tenants, index)
  const own = ownRows(tenants, index, id)
  const some = `(tableoid, ctid) IN (SELECT tableoid, ctid FROM ${relation} WHERE ${own} ORDER BY ctid OFFSET ${random(3)} LIMIT ${1 + random(3)})`
  const column = pick(
    random,
    table.columns.filter(({ unique }) => !unique)
  )
  await attempt(sql, `UPDATE ${relation} SET ${q(column.name)} = ${value(random, column.type)} WHERE ${some}`)
  for (const reference of table.references.filter(({ required }) => !required)) {
    await attempt(
      sql,
      `UPDATE ${relation} SET ${q(reference.column)} = (${someRow(random, tenants, reference.target, id, reference.to)}) WHERE ${some}`
    )
  }
  if (random(2) === 0)
    await attempt(
      sql,
      `SET CONSTRAINTS ALL IMMEDIATE; DELETE FROM ${relation} WHERE ${some}; SET CONSTRAINTS ALL DEFERRED`
    )
  if (random(2) === 0) await addRows(sql, random, tenants, index, id, 1 + random(4))
  if (table.columns.some(({ unique }) => unique)) {
    // Every row takes the next one's value, the last the first's.
    const key = table.key === 'composite' ? 'n' : 'id'
    await attempt(
      sql,
      `CREATE TEMP TABLE turns AS SELECT ${key} AS key,
        lead("unique", 1, (SELECT min("unique") FROM ${relation} WHERE ${own})) OVER (ORDER BY "unique") AS next FROM ${relation} WHERE ${own};
      UPDATE ${relation} SET "unique" = 'parked ' || ${key} WHERE ${own};
      UPDATE ${relation} SET "unique" = next FROM turns WHERE turns.key = ${key};
      DROP TABLE turns`
    )
  }
  for (const code of table.codes) await mutateCode(sql, random, tenants, index, id, code)
}

/** Rows that take the values of others which lead elsewhere by then: what a key with an action is led astray by. */
async function mutateCode(
  sql: postgres.TransactionSql,
  random: Random,
  tenants: RandomTenants,
  index: number,
  id: string,
  code: string
): Promise<void> {
  const relation = place(tenants, index)
  const own = ownRows(tenants, index, id)
  const now = async (statement: string): Promise<void> => {
    await attempt(sql, `SET CONSTRAINTS ALL IMMEDIATE; ${statement}; SET CONSTRAINTS ALL DEFERRED`)
  }
  const [row] = await sql.unsafe<Array<{ value: string }>>(
    `SELECT ${q(code)} AS value FROM ${relation} WHERE ${own} AND ${q(code)} IS NOT NULL ORDER BY 1 OFFSET ${random(3)} LIMIT 1`
  )
  if (row === undefined) return
  const value = quoteLiteral(row.value)
  const other = quoteLiteral(`${id}-${random(1e9)}`)
  // Those that lead there before, so that some lead there again.
  const leading = tenants.tables.flatMap(({ references }, child) =>
    references.filter(({ target, to }) => target === index && to === code).map(({ column }) => ({ child, column }))
  )
  const kept: Array<{ relation: string; column: string; rows: string }> = []
  for (const { child, column } of leading) {
    const found = await sql.unsafe<Array<{ place: string }>>(
      `SELECT format('(%s, %L)', tableoid::oid, ctid) AS place FROM ${place(tenants, child)} WHERE ${q(column)} = ${value}`
    )
    if (found.length > 0)
      kept.push({
        relation: place(tenants, child),
        column: q(column),
        rows: found.map(({ place }) => place).join(', ')
      })
  }
  switch (random(6)) {
    case 0:
    case 1:
      // Gone and made again.
      if (random(2) === 0)
        for (const { relation, column, rows } of kept)
          await now(`UPDATE ${relation} SET ${column} = NULL WHERE (tableoid, ctid) IN (${rows})`)
      await now(`DELETE FROM ${relation} WHERE ${q(code)} = ${value}`)
      await addRows(sql, random, tenants, index, id, 1, new Map([[code, value]]))
      break
    case 2:
      // Renamed, and another made by its name.
      await now(`UPDATE ${relation} SET ${q(code)} = ${other} WHERE ${q(code)} = ${value}`)
      await addRows(sql, random, tenants, index, id, 1, new Map([[code, value]]))
      break
    case 3:
      // Renamed to the name of one that goes.
      await now(`DELETE FROM ${relation} WHERE ${q(code)} = ${value}`)
      await now(
        `UPDATE ${relation} SET ${q(code)} = ${value} WHERE ${q(code)} = (${someRow(random, tenants, index, id, code)})`
      )
      break
    default:
      // Exchanged.
      await now(`CREATE TEMP TABLE turns AS SELECT ${q(code)} AS code, lead(${q(code)}, 1, ${value}) OVER (ORDER BY ${q(code)}) AS next FROM ${relation} WHERE ${own} AND ${q(code)} >= ${value};
        UPDATE ${relation} SET ${q(code)} = 'parked ' || ${q(code)} WHERE ${own} AND ${q(code)} >= ${value};
        UPDATE ${relation} SET ${q(code)} = next FROM turns WHERE 'parked ' || turns.code = ${q(code)};
        DROP TABLE turns`)
  }
  for (const { child, column } of leading) {
    if (random(2) === 0)
      await now(
        `UPDATE ${place(tenants, child)} SET ${q(column)} = ${value} WHERE (tableoid, ctid) IN (SELECT tableoid, ctid FROM ${place(tenants, child)} WHERE ${ownRows(tenants, child, id)} ORDER BY ctid OFFSET ${random(3)} LIMIT ${1 + random(2)}) AND EXISTS (SELECT FROM ${relation} WHERE ${q(code)} = ${value})`
      )
  }
}
