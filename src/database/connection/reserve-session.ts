import type { ReservedSql, Sql } from 'postgres'
import { beginSession } from './session-settings.js'

/**
 * Reserves a session that stays the same to its end. Once its connection is lost every query is refused: postgres.js
 * 3.4.9 would write to a socket that is gone and end the process by that (porsager/postgres, issue 1208).
 * @param client of one connection, for this session alone
 */
export async function reserveSession(client: Sql): Promise<ReservedSql> {
  const lost = new AbortController()
  client.options.onclose = () => {
    lost.abort(Object.assign(new Error('The connection was lost.'), { code: 'CONNECTION_CLOSED' }))
  }
  const requireConnection = (): void => {
    lost.signal.throwIfAborted()
  }
  // On a connection that is there: reserve() never answers where it has to open one and fetch_types is off.
  await beginSession(client)
  requireConnection()
  const session = await Promise.race([client.reserve(), rejection(lost.signal)])

  return new Proxy(session, {
    apply(target, self, args) {
      requireConnection()
      return Reflect.apply(target as (...args: unknown[]) => unknown, self, args)
    },
    get(target, name) {
      if (name !== 'unsafe') return Reflect.get(target, name) as unknown
      return (...args: Parameters<ReservedSql['unsafe']>) => {
        requireConnection()
        return target.unsafe(...args)
      }
    }
  })
}

async function rejection(signal: AbortSignal): Promise<never> {
  return await new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => {
      reject(signal.reason as Error)
    })
  })
}
