import { AppError } from '../../errors.js'
import { runProgram } from '../../io/process.js'

export interface SystemUser {
  name: string
  uid: number
  gid: number
}

/**
 * The system user that PostgreSQL runs as when we are root, which it refuses; null when we are not root and it simply
 * runs as we do. @throws AppError CONFIG_INVALID when there is no such user
 */
export async function unprivilegedUser(): Promise<SystemUser | null> {
  if (process.getuid?.() !== 0) return null
  for (const name of ['postgres', '_postgres', 'nobody']) {
    const [uid, gid] = await Promise.all([runProgram('id', ['-u', name]), runProgram('id', ['-g', name])]).catch(
      () => []
    )
    if (uid !== undefined && gid !== undefined) return { name, uid: Number(uid), gid: Number(gid) }
  }
  throw new AppError(
    'CONFIG_INVALID',
    'embedded-no-user',
    "PostgreSQL can't run as root, and there is no user it could run as.",
    {
      remedy: 'Run the service as an ordinary user, or create the user postgres.'
    }
  )
}
