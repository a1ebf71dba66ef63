import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Value } from '@sinclair/typebox/value'
import { absentIsNull } from '../io/absent.js'
import { fileError, writeFileDurably } from '../io/durable.js'
import { requireUuid } from '../io/safe-path.js'
import { Job } from '../jobs/job.js'
import type { JobHistory } from '../jobs/queue.js'
import { createRecentJobs, listedJobs } from '../jobs/recent-jobs.js'
import type { Log } from '../log.js'
import type { Repository } from './repository.js'

/**
 * Finished jobs as files of the repository, so that a restart forgets none: `{yyyy-mm-dd}/{instant}-{id}.json` by their
 * end, in UTC, in the organization's folder `activity`. Those of this process are found also when they can't be
 * written.
 */
export function createActivity(repository: Repository, log: Log): JobHistory {
  const recent = createRecentJobs()

  async function read(path: string): Promise<Job | null> {
    const job = parsed(await readFile(path, 'utf8'))
    if (Value.Check(Job, job)) return job
    log.warn({ path }, 'A file in the activity folder is not of a job of this release, and is left out')
    return null
  }

  return {
    async keep(job) {
      await recent.keep(job)
      const { id, organizationId, finishedAt = '' } = job
      await guarded('Keeping a finished job', async () => {
        const folder = await repository.activityFolder(organizationId, finishedAt.slice(0, 10))
        await writeFileDurably(join(folder, `${finishedAt.replaceAll(/[-:.]/g, '')}-${id}.json`), JSON.stringify(job))
      })
    },

    async find(organizationId, jobId) {
      requireUuid(jobId)
      return (
        (await recent.find(organizationId, jobId)) ??
        (await guarded('Looking for a job', async () => {
          for await (const { path, id } of filesOf(await repository.activityFolder(organizationId)))
            if (id === jobId) return await read(path)
          return null
        }))
      )
    },

    async list(organizationId) {
      const jobs = await recent.list(organizationId)
      const known = new Set(jobs.map(({ id }) => id))
      if (jobs.length >= listedJobs) return jobs
      return await guarded('Listing jobs', async () => {
        for await (const { path, id } of filesOf(await repository.activityFolder(organizationId))) {
          if (jobs.length >= listedJobs) break
          const job = known.has(id) ? null : await read(path)
          if (job !== null) jobs.push(job)
        }
        return jobs
      })
    }
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** Newest first. */
async function* filesOf(folder: string): AsyncGenerator<{ path: string; id: string }> {
  for (const day of (await namesIn(folder))
    .filter(name => /^\d{4}-\d\d-\d\d$/.test(name))
    .sort()
    .reverse()) {
    for (const name of (await namesIn(join(folder, day))).sort().reverse()) {
      const [, id] = /^\d{8}T\d{9}Z-([0-9a-f-]{36})\.json$/.exec(name) ?? []
      if (id !== undefined) yield { path: join(folder, day, name), id }
    }
  }
}

async function namesIn(folder: string): Promise<string[]> {
  return (await absentIsNull(readdir(folder))) ?? []
}

async function guarded<Result>(what: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    throw fileError(error, 'REPOSITORY_UNAVAILABLE', what)
  }
}
