import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { runProgram } from './process.js'

const syncProgram = '/usr/bin/sync'

/** Makes a whole folder tree durable: its file system as a whole with syncfs(2) through sync(1), else file by file. */
export async function syncTree(folder: string): Promise<void> {
  try {
    await runProgram(syncProgram, ['--file-system', folder])
  } catch {
    // Not GNU's sync, or none at all; an error of the disk shows up again below.
    await syncEach(folder)
  }
}

async function syncEach(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) await syncEach(path)
    else await syncOne(path)
  }
  await syncOne(folder)
}

async function syncOne(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
