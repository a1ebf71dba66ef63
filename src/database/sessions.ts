/** A session of the server, as pg_stat_activity shows it to everybody. */
export interface Session {
  pid: number
  role: string | null
  application: string | null
}

/** Such as `session 4711 of bob (psql)`, for an administrator who is to end it. */
export function describeSession ({ pid, role, application }: Session): string {
  return `session ${pid} of ${role ?? 'the server'}${application ? ` (${application})` : ''}`
}
