import type { JobContext } from '../../src/jobs/progress.js'

/** What a job hands to its work; `onPhase` is told each phase as it begins. */
export function testJob ({ signal = new AbortController().signal, onPhase = () => {} }: { signal?: AbortSignal, onPhase?: (phase: string) => void } = {}): JobContext {
  return { jobId: 'test', signal, afterwards: async work => { await work() }, progress: { phase: onPhase, total () {}, advance () {}, uncancellable () {} } }
}
