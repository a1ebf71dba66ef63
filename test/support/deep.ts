/** Whether `npm run test:deep` runs, and not `npm test`. */
export const isDeep = process.env.DEEP_SECONDS !== undefined

/**
 * Seeds of a randomized suite: the same few in `npm test`, and in `npm run test:deep` one after the other from
 * DEEP_SEED until the suite's share of the minutes (DEEP_SECONDS) is over, one at least. A failure names its seed.
 * @param usual how many of them `npm test` takes, from 1
 */
export function* deepSeeds(usual: number): Generator<number> {
  const { DEEP_SECONDS, DEEP_SEED } = process.env
  if (!isDeep) {
    for (let seed = 1; seed <= usual; seed += 1) yield seed
    return
  }
  const end = performance.now() + Number(DEEP_SECONDS) * 1000
  let seed = Number(DEEP_SEED)
  do {
    yield seed
    seed += 1
  } while (performance.now() < end)
}
