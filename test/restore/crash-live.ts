import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { withSql } from '../../src/database/connection/connection.js'
import { deepSeeds, isDeep } from '../support/deep.js'
import { isWhole, killAt, recover, restoreOther, runChild, undoable } from '../support/crash.js'
import type { Action } from '../support/crash-child.js'
import { createLiveSite } from '../support/live-site.js'
import type { Fault } from '../support/fault-points.js'
import type { Site } from '../support/restore-site.js'

/** The first rename that is done: one that is only tried, which may be refused, comes before it. */
const moved = 'after rename uploads/'

/** How far a seed moves the points that are tried: less than `step`. */
function offset(seed: number, step: number): number {
  return ((seed - 1) * 13) % step
}

/**
 * The points from 1 to `count` that a seed tries: the first, which goes back, the last, which goes forward, and between
 * them each `step` after the one before, half as many in `npm test`.
 */
function pointsToTry(count: number, step: number, seed: number): Set<number> {
  const tried = new Set([1])
  for (let at = 1 + offset(seed, step); at < count; at += isDeep ? step : step * 2) tried.add(at)
  return tried.add(count)
}

/** The points of a restore that goes through. */
async function pointsOf(site: Site): Promise<string[]> {
  const { points, error } = (await runChild(site, await restoreOther(site)))!
  if (error !== undefined) throw new Error(error.message)
  return points
}

for (const seed of deepSeeds(1)) {
  for (const mode of ['merge', 'in-place'] as const) {
    await t.test(`seed ${seed}, ${mode}: killed around the commit, both are old or both are new`, async t => {
      const site = await createLiveSite(t, mode)
      const points = await pointsOf(site)
      // From the locks of the merge on; in place, where psql has them, from when the live folder is moved aside.
      const from = mode === 'merge' ? 'pg_advisory_xact_l' : moved
      const rest = points.slice(points.findIndex(point => point.includes(from)))
      t.ok(rest.length < points.length && rest.some(point => point.startsWith(moved)))
      const ended = { back: 0, forward: 0 }
      for (const at of pointsToTry(rest.length, mode === 'merge' ? 148 : 32, seed)) {
        const before = await site.look()
        await runChild(site, await restoreOther(site), { kind: 'kill', at, from })
        const outcome = await recover(site)
        t.ok(isWhole(outcome), `${at} ${String(rest[at - 1])}: ${outcome.state}`)
        t.same(outcome.leftovers, [], `${at} ${String(rest[at - 1])}`)
        ended[outcome.state === before ? 'back' : 'forward'] += 1
      }
      t.ok(ended.back > 0 && ended.forward > 0, JSON.stringify(ended))
    })

    await t.test(`seed ${seed}, ${mode}: killed while it prepares, nothing has happened`, async t => {
      const site = await createLiveSite(t, mode)
      t.same(await killAt(site, async () => await restoreOther(site), 31 + offset(seed, 700), 700), [])
    })
  }

  await t.test(`seed ${seed}, killed right after COMMIT was sent, the answer is found out`, async t => {
    const site = await createLiveSite(t, 'merge')
    const points = await pointsOf(site)
    t.match(
      points.filter(point => /^after message .*COMMIT/.test(point)),
      [/COMMIT/],
      'it is sent once'
    )
    await runChild(site, await restoreOther(site), {
      kind: 'kill',
      at: 1,
      from: points.find(point => /^after message .*COMMIT/.test(point)) as string
    })
    const outcome = await recover(site)
    t.ok(isWhole(outcome), outcome.state)
    t.same(outcome.leftovers, [])
  })

  await t.test(`seed ${seed}, an undo inside the live database, cut off`, async t => {
    const site = await createLiveSite(t, 'merge')
    const undo = async (): Promise<Action> => {
      const { restoreId } = (await runChild(site, await restoreOther(site)))!
      return { do: 'undo', restoreId: restoreId as string }
    }
    const { points } = (await runChild(site, await undo()))!
    const rest = points.slice(points.findIndex(point => point.includes(moved)))
    const ended = { back: 0, forward: 0 }
    const faults: Fault[] = [{ kind: 'kill', at: 240 + offset(seed, 124) }]
    for (const at of pointsToTry(rest.length, 124, seed)) faults.push({ kind: 'kill', at, from: moved })
    for (const fault of faults) {
      const action = await undo()
      const before = await site.look()
      await runChild(site, action, fault)
      const outcome = await recover(site)
      t.ok(isWhole(outcome), `${JSON.stringify(fault)}: ${before} → ${outcome.state}`)
      t.same(outcome.leftovers, [], JSON.stringify(fault))
      ended[outcome.state === before ? 'back' : 'forward'] += 1
    }
    t.ok(ended.back > 0 && ended.forward > 0, JSON.stringify(ended))
  })

  await t.test(`seed ${seed}, an organization that is not there yet, cut off on its way in and out again`, async t => {
    const site = await createLiveSite(t, 'merge')
    await withSql(site.connection, {}, async sql => {
      await sql`DELETE FROM items WHERE org = 'acme'`
      await sql`DELETE FROM organizations WHERE id = 'acme'`
    })
    await rm(join(site.uploadDir, 'acme'), { recursive: true })
    /** Wholly in or wholly out, and nobody else's row touched. */
    const look = async (): Promise<string> => {
      const state = await site.look()
      const rows = await withSql(
        site.connection,
        {},
        async sql =>
          await sql`SELECT FROM organizations WHERE id = 'acme' UNION ALL SELECT FROM items WHERE org = 'acme'`
      )
      const files = await readdir(join(site.uploadDir, 'acme')).catch(() => [])
      return state === 'aa' ? 'in' : state === '??' && rows.length + files.length === 0 ? 'out' : state
    }
    const bring: Action = { do: 'restore', backupId: site.states.a.backupId, keep: true }
    const takeOut = async (): Promise<Action> => ({ do: 'undo', restoreId: (await undoable(site)) as string })
    const ways = [
      { way: async () => bring, points: (await runChild(site, bring))!.points, to: 'in' },
      { way: takeOut, points: (await runChild(site, await takeOut()))!.points, to: 'out' }
    ]
    t.equal(await look(), 'out')
    const ended = { back: 0, forward: 0 }
    for (const index of isDeep ? [0, 1, 2, 3] : [1, 3]) {
      for (const { way, points, to } of ways) {
        const fault = (
          [
            { kind: 'kill', at: Math.floor(points.length * 0.4) },
            { kind: 'kill', at: Math.floor(points.length * 0.8) },
            { kind: 'kill', at: 1, from: moved },
            { kind: 'kill', at: 1, from: points.find(point => /^after message .*COMMIT/.test(point)) as string }
          ] as Fault[]
        )[index]!
        await runChild(site, await way(), fault)
        const { leftovers } = await recover(site)
        const state = await look()
        t.ok(state === 'in' || state === 'out', `${JSON.stringify(fault)} ${to}: ${state}`)
        t.same(leftovers, [], `${JSON.stringify(fault)} ${to}`)
        ended[state === to ? 'forward' : 'back'] += 1
        if (state !== to) t.equal((await runChild(site, await way()))?.error, undefined)
        t.equal(await look(), to)
      }
    }
    t.ok(ended.back > 0 && ended.forward > 0, JSON.stringify(ended))
  })
}
