import type { Core } from '../core.js'
import { dataOf, type Operation } from './operation.js'
import type { UpkeepRequest, Work } from './queue.js'
import { place } from './resources.js'

/** Does the work of jobs by the operations of their kinds. */
export function createWorker(core: Core, operations: readonly Operation[]): Work {
  const byKind = new Map(operations.map(operation => [operation.kind, operation]))
  return async ({ kind, params, context, resources }) => {
    const operation = byKind.get(kind)
    if (operation === undefined) throw new TypeError(`No operation is of the kind ${kind}.`)
    const followUps: UpkeepRequest[] = []
    const result = await operation.run(core, dataOf(operation, params), {
      ...context,
      async followUp(next) {
        followUps.push({ ...next, resources: resources.filter(resource => resource !== place) })
      }
    })
    return { result, followUps }
  }
}
