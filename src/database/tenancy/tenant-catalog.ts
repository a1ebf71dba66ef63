import type postgres from 'postgres'
import { quoteTable } from '../identifiers.js'
import { ownSchema } from '../load/marker.js'

export interface CatalogColumn {
  name: string
  /** Independent of the search path, so that two databases can be compared. */
  type: string
  /** pg_type.typcategory: S for texts, N for numbers, … */
  category: string
  notNull: boolean
  hasDefault: boolean
  generated: boolean
  identity: 'always' | 'default' | null
}

/** An ordinary table or the root of a partitioned one. */
export interface CatalogTable {
  oid: number
  schema: string
  name: string
  partitioned: boolean
  /** Columns that it, or a partition of it, is partitioned by as a list of values. */
  listedBy: string[]
  columns: CatalogColumn[]
  /** Columns of the primary key, else of the first unique key without nulls; null when there is none. */
  key: string[] | null
  /** Equality of each column of the key. */
  keyOperators: string[]
  primaryKey: string[] | null
  /** Unique keys that compare by overlap (WITHOUT OVERLAPS, from PostgreSQL 18 on), by name. */
  periodKeys: string[]
  /**
   * Of its CHECK and NOT NULL constraints, by name, those that rows which are there may break although new ones may not
   * (NOT VALID).
   */
  unvalidated: string[]
  readable: boolean
  rowSecurity: boolean
  hasRules: boolean
  hasTriggers: boolean
}

export interface ForeignKey {
  oid: number
  name: string
  /** The table, or the root of the partition, that has the key. */
  table: number
  /** Quoted relation that has the key: the table itself, or one partition of it. */
  relation: string
  columns: string[]
  target: number
  targetRelation: string
  references: string[]
  /** Equality of each pair of columns, to be written `references operator columns`. */
  operators: string[]
  notNull: boolean
  validated: boolean
  /** From PostgreSQL 18 on a key can be NOT ENFORCED: it neither refuses anything nor acts. */
  enforced: boolean
  /** Its last columns are compared by overlap (PERIOD, from PostgreSQL 18 on). */
  period: boolean
  /**
   * ON DELETE changes rows, or RESTRICT refuses at once, although the value may be another row's by then: anything but
   * NO ACTION.
   */
  deleteActs: boolean
  /** ON UPDATE likewise. */
  updateActs: boolean
  /**
   * What happens to its rows when those that they lead to are deleted; other: nothing, or what only the key itself can
   * do.
   */
  onDelete: 'cascade' | 'set null' | 'other'
  /** The columns that ON DELETE SET NULL empties, all of the key but where it lists some. */
  emptied: string[]
  /** The key is on one partition only, so it says nothing about the table as a whole. */
  onPartition: boolean
  /** What rows of the table the relation takes, as an expression on its columns, where it is a partition; null: all. */
  condition: string | null
  /** The same of the target relation. */
  targetCondition: string | null
}

export interface Catalog {
  tables: CatalogTable[]
  keys: ForeignKey[]
  /** How many of what a backup of one organization can't hold. */
  materializedViews: number
  foreignTables: number
  largeObjects: boolean
}

/** Everything about the user's tables that decides who owns their rows. Reads pg_catalog alone. */
export async function readCatalog(sql: postgres.Sql): Promise<Catalog> {
  // One after the other: the caller's session may be inside a transaction.
  const tables = await readKeyedTables(sql)
  const columns = await readColumns(sql)
  const known = new Set(tables.map(({ oid }) => oid))
  const keys = await readForeignKeys(sql)
  const rest = await readRest(sql)
  return {
    tables: tables.map(table => ({
      ...table,
      columns: columns.filter(({ relation }) => relation === table.oid).map(({ relation: _, ...column }) => column)
    })),
    keys: keys.filter(({ table, target }) => known.has(table) && known.has(target)),
    ...rest
  }
}

/** The tables alone, with what tells their rows apart. */
export async function readKeyedTables(sql: postgres.Sql): Promise<Array<Omit<CatalogTable, 'columns'>>> {
  const tables = await readTables(sql)
  const unique = await readUniqueKeys(sql)
  return tables.map(table => {
    const own = unique.filter(({ relation }) => relation === table.oid)
    return {
      ...table,
      key: own[0]?.columns ?? null,
      keyOperators: own[0]?.operators ?? [],
      primaryKey: own.find(({ primary }) => primary)?.columns ?? null
    }
  })
}

type TableRow = Omit<CatalogTable, 'columns' | 'key' | 'keyOperators' | 'primaryKey'>

async function readTables(sql: postgres.Sql): Promise<TableRow[]> {
  return await sql<TableRow[]>`
    select c.oid, n.nspname::text as schema, c.relname::text as name, c.relkind = 'p' as partitioned,
      array(select distinct a.attname::text from pg_partition_tree(c.oid) t join pg_partitioned_table p on p.partrelid = t.relid
        join pg_attribute a on a.attrelid = p.partrelid and a.attnum = any(p.partattrs::int2[]) where p.partstrat = 'l') as "listedBy",
      array(select x.relname::text from pg_index i join pg_class x on x.oid = i.indexrelid join pg_am m on m.oid = x.relam
        where i.indisunique and m.amname <> 'btree' and i.indrelid in (select c.oid union all select relid from pg_partition_tree(c.oid))) as "periodKeys",
      array(select distinct k.conname::text from pg_constraint k where k.contype in ('c', 'n') and not k.convalidated and ${isEnforced(sql)}
        and k.conrelid in (select c.oid union all select relid from pg_partition_tree(c.oid)) order by 1) as unvalidated,
      has_schema_privilege(n.oid, 'USAGE') and has_table_privilege(c.oid, 'SELECT') as readable,
      row_security_active(c.oid) as "rowSecurity",
      exists (select from pg_rewrite r where r.ev_class = c.oid) as "hasRules",
      exists (select from pg_trigger t where not t.tgisinternal and t.tgenabled <> 'D' and t.tgrelid in
        (select c.oid union all select relid from pg_partition_tree(c.oid))) as "hasTriggers"
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't'
      and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', ${ownSchema})
      and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
    order by n.nspname collate "C", c.relname collate "C"`
}

async function readColumns(sql: postgres.Sql): Promise<Array<CatalogColumn & { relation: number }>> {
  return await sql<Array<CatalogColumn & { relation: number }>>`
    select a.attrelid as relation, a.attname::text as name,
      case when n.nspname = 'pg_catalog' then format_type(a.atttypid, a.atttypmod)
        else quote_ident(n.nspname) || '.' || quote_ident(t.typname) || case when a.atttypmod >= 0 then '(' || a.atttypmod || ')' else '' end
      end as type, t.typcategory::text as category,
      a.attnotnull and ${holdsNoNull(sql)} or t.typnotnull as "notNull", a.atthasdef and a.attgenerated = '' or t.typdefault is not null as "hasDefault",
      a.attgenerated <> '' as generated,
      case a.attidentity when 'a' then 'always' when 'd' then 'default' end as identity
    from pg_attribute a join pg_class c on c.oid = a.attrelid
      join pg_type t on t.oid = a.atttypid join pg_namespace n on n.oid = t.typnamespace
    where c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
    order by a.attrelid, a.attnum`
}

/**
 * Whether the column `a` that is marked NOT NULL holds no null: from PostgreSQL 18 on such a constraint can be NOT
 * VALID.
 */
function holdsNoNull(sql: postgres.Sql): postgres.Fragment {
  return sql`not exists (select from pg_constraint v where v.conrelid = a.attrelid and v.contype = 'n' and v.conkey = array[a.attnum] and not v.convalidated)`
}

/** Whether the constraint `k` is ENFORCED; through jsonb, since PostgreSQL before 18 does not know the column. */
export function isEnforced(sql: postgres.Sql): postgres.Fragment {
  return sql`coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true)`
}

interface UniqueKeyRow {
  relation: number
  primary: boolean
  columns: string[]
  operators: string[]
}

/** Keys that can tell one row from every other, the best first: without expressions, conditions and nulls. */
async function readUniqueKeys(sql: postgres.Sql): Promise<UniqueKeyRow[]> {
  return await sql<UniqueKeyRow[]>`
    select i.indrelid as relation, i.indisprimary as primary,
      array_agg(a.attname::text order by u.position) as columns,
      array_agg('OPERATOR(' || quote_ident(n.nspname) || '.' || o.oprname || ')' order by u.position) as operators
    from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am m on m.oid = c.relam and m.amname = 'btree',
      unnest(i.indkey::int2[], i.indclass::oid[]) with ordinality as u(number, opclass, position)
      join pg_opclass p on p.oid = u.opclass
      join pg_amop e on e.amopfamily = p.opcfamily and e.amopstrategy = 3
        and e.amoplefttype = p.opcintype and e.amoprighttype = p.opcintype
      join pg_operator o on o.oid = e.amopopr join pg_namespace n on n.oid = o.oprnamespace,
      pg_attribute a
    where i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null and u.position <= i.indnkeyatts
      and a.attrelid = i.indrelid and a.attnum = u.number
    group by i.indexrelid, i.indrelid, i.indisprimary, c.relname
    having bool_and(a.attnotnull and ${holdsNoNull(sql)})
    order by i.indrelid, i.indisprimary desc, count(*), c.relname collate "C"`
}

async function readForeignKeys(sql: postgres.Sql): Promise<ForeignKey[]> {
  type Names = Record<'schema' | 'relname' | 'targetSchema' | 'targetName', string>
  const rows = await sql<Array<Omit<ForeignKey, 'relation' | 'targetRelation'> & Names>>`
    with relations as (
      select c.oid, coalesce(pg_partition_root(c.oid), c.oid)::oid as root, c.relispartition as partition,
        n.nspname::text as schema, c.relname::text as name
      from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p'))
    select k.oid, k.conname::text as name, child.root as table, child.schema, child.name as relname, parent.root as target,
      parent.schema as "targetSchema", parent.name as "targetName", k.convalidated as validated, ${isEnforced(sql)} as enforced,
      -- Through jsonb, since PostgreSQL before 18 does not know the column.
      coalesce((to_jsonb(k) ->> 'conperiod')::boolean, false) as period,
      k.confdeltype <> 'a' and ${isEnforced(sql)} as "deleteActs", k.confupdtype <> 'a' and ${isEnforced(sql)} as "updateActs",
      case when not ${isEnforced(sql)} then 'other' when k.confdeltype = 'c' then 'cascade' when k.confdeltype = 'n' then 'set null' else 'other' end as "onDelete", child.partition as "onPartition",
      case when child.partition then pg_get_partition_constraintdef(child.oid) end as condition,
      case when parent.partition then pg_get_partition_constraintdef(parent.oid) end as "targetCondition",
      -- Through jsonb, since PostgreSQL before 15 does not know the column.
      array(select a.attname::text from pg_attribute a where a.attrelid = k.conrelid and a.attnum = any(
        case when jsonb_typeof(to_jsonb(k) -> 'confdelsetcols') = 'array'
          then array(select jsonb_array_elements_text(to_jsonb(k) -> 'confdelsetcols')::int2) else k.conkey end)) as emptied,
      pairs.*
    from pg_constraint k join relations child on child.oid = k.conrelid join relations parent on parent.oid = k.confrelid,
      lateral (
        select array_agg(a.attname::text order by u.position) as columns, array_agg(p.attname::text order by u.position) as references,
          array_agg('OPERATOR(' || quote_ident(n.nspname) || '.' || o.oprname || ')' order by u.position) as operators,
          bool_and(a.attnotnull and ${holdsNoNull(sql)}) as "notNull"
        from unnest(k.conkey, k.confkey, k.conpfeqop) with ordinality as u(child, parent, operator, position)
          join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.child
          join pg_attribute p on p.attrelid = k.confrelid and p.attnum = u.parent
          join pg_operator o on o.oid = u.operator join pg_namespace n on n.oid = o.oprnamespace) pairs
    where k.contype = 'f' and k.conparentid = 0
    order by child.schema collate "C", child.name collate "C", k.conname collate "C"`
  return rows.map(({ schema, relname, targetSchema, targetName, ...key }) => ({
    ...key,
    relation: quoteTable({ schema, name: relname }),
    targetRelation: quoteTable({ schema: targetSchema, name: targetName })
  }))
}

async function readRest(
  sql: postgres.Sql
): Promise<Pick<Catalog, 'materializedViews' | 'foreignTables' | 'largeObjects'>> {
  const [row] = await sql<Array<Pick<Catalog, 'materializedViews' | 'foreignTables' | 'largeObjects'>>>`
    select (count(*) filter (where relkind = 'm'))::int as "materializedViews",
      (count(*) filter (where relkind = 'f'))::int as "foreignTables",
      exists (select from pg_largeobject_metadata) as "largeObjects"
    from pg_class`
  return row!
}
