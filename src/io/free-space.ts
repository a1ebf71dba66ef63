import { statfs } from 'node:fs/promises'

/** Bytes that are left free on every disk: a full one hurts the application and PostgreSQL too. */
export const reserveBytes = 64 << 20

/** Bytes that can still be written below the folder, and those of a block. */
export async function freeSpace(folder: string): Promise<{ freeBytes: number; blockBytes: number }> {
  const { bavail, bsize } = await statfs(folder)
  return { freeBytes: bavail * bsize, blockBytes: bsize }
}
