import type { ReservedSql, Sql } from 'postgres'
import { beginSession } from './session-settings.js'

/**
 * Reserves a session that stays the same to its end. Once its connection is lost every query is refused: postgres.js 3.4.9
 * would write to a socket that is gone and end the process by that (porsager/postgres, issue 1208).
 * @param client of one connection, for this session alone
 */
export async function reserveSession (client: Sql): Promise<ReservedSql> {
  let lost = false
  client.options.onclose = () => { lost = true }
  const session = await client.reserve()
  await beginSession(session)

  function requireConnection (): void {
    if (lost) throw Object.assign(new Error('The connection was lost.'), { code: 'CONNECTION_CLOSED' })
  }

  return new Proxy(session, {
    apply (target, self, args) {
      requireConnection()
      return Reflect.apply(target as (...args: unknown[]) => unknown, self, args)
    },
    get (target, name) {
      if (name !== 'unsafe') return Reflect.get(target, name) as unknown
      return (...args: Parameters<ReservedSql['unsafe']>) => {
        requireConnection()
        return target.unsafe(...args)
      }
    }
  })
}
