import { parseConnectionUrl } from './connection/connection.js'
import { requireDirect } from './connection/direct.js'
import type { DatabaseStrategy } from './strategy.js'

/**
 * A database that the operator runs, named by DATABASE_URL. start() looks once whether it answers; the caller decides
 * whether to go on without it, since connection() is known either way.
 * @throws AppError CONFIG_INVALID for an unusable URL
 */
export function createExternalDatabase({ url }: { url: string }): DatabaseStrategy {
  const connection = parseConnectionUrl(url)

  return {
    kind: 'external',
    dataDirectory: null,
    async start() {
      await requireDirect(connection)
    },
    async stop() {},
    connection: () => connection
  }
}
