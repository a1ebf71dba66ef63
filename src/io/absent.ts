import { systemCode } from '../errors.js'

/** What reading a file or folder answers, or null where it is not there. */
export async function absentIsNull<T>(reading: Promise<T>): Promise<T | null> {
  try {
    return await reading
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return null
    throw error
  }
}
