import type { Job } from './job.js'
import type { JobHistory } from './queue.js'

/** How many finished jobs of an organization a list shows. */
export const listedJobs = 100

/** The last finished jobs of this process. */
export function createRecentJobs(): JobHistory {
  const recent = new Map<string, Job[]>()
  const of = (organizationId: string): Job[] => recent.get(organizationId) ?? []
  return {
    async keep(job) {
      recent.set(job.organizationId, [job, ...of(job.organizationId)].slice(0, listedJobs))
    },
    find: async (organizationId, jobId) => of(organizationId).find(({ id }) => id === jobId) ?? null,
    list: async organizationId => of(organizationId).map(job => ({ ...job }))
  }
}
