import { Job } from '../src/jobs/job.js'
import { headers } from './schemas/error.js'
import { ref } from './schemas/shared.js'

/** Whether the Prefer header asks for an answer at once (RFC 7240, section 4.1). */
export function prefersAsync({ headers }: { headers: { prefer?: string | string[] } }): boolean {
  return [headers.prefer ?? []]
    .flat()
    .join(',')
    .split(',')
    .some(preference => preference.split(';')[0]?.trim().toLowerCase() === 'respond-async')
}

/** Headers of the 202 that hands the job over. */
export function acceptedHeaders(job: Job, publicUrl: string): Record<string, string> {
  return { location: `${publicUrl}/api/backup/jobs/${job.id}`, 'preference-applied': 'respond-async' }
}

/** The 202 of an operation that runs as a job, with the headers of acceptedHeaders. */
export function acceptedResponse(description: string) {
  return {
    ...ref(Job),
    description,
    ...headers({ location: 'Address of the job', 'preference-applied': 'respond-async' })
  }
}
