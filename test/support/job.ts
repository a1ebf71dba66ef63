import type { Core } from '../../src/core.js'
import type { FollowUp, JobContext } from '../../src/jobs/context.js'
import { operations } from '../../src/operations/all.js'

interface Options {
  signal?: AbortSignal
  /** Is told each phase as it begins. */
  onPhase?: (phase: string) => void
  /** Does at once what the work leaves for after the job; without it nothing may be left. */
  core?: Core
}

/** What a job hands to its work. */
export function testJob({ signal = new AbortController().signal, onPhase = () => {}, core }: Options = {}): JobContext {
  const job: JobContext = {
    jobId: 'test',
    signal,
    async followUp({ kind, params }: FollowUp) {
      if (core === undefined) throw new TypeError(`testJob needs the core, since ${kind} is to follow.`)
      await operations.find(operation => operation.kind === kind)?.run(core, params, job)
    },
    progress: { phase: onPhase, total() {}, advance() {}, uncancellable() {} }
  }
  return job
}
