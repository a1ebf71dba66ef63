import { spawnSync } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { execa } from 'execa'

const stderrLimit = 8 * 1024
const forceKillAfterDelay = 5000

/**
 * Programs get a session of their own: the terminal's Ctrl-C, and its end, are for this process to answer, and must not
 * end the programs of a job that goes on. So this process has to end them itself when it exits.
 */
const detached = true
/** What the terminal sends to every program in it. */
const terminalSignals: ReadonlySet<string | null> = new Set(['SIGINT', 'SIGQUIT', 'SIGHUP'])
const running = new Set<{ kill: () => void }>()
process.on('exit', () => {
  for (const program of running) program.kill()
})

export interface ProgramOptions {
  /** Added to the minimal environment; nothing of our own environment reaches the program. */
  env?: Readonly<Record<string, string>>
  /** Run as this user; only root can. */
  uid?: number
  gid?: number
  cwd?: string
  /** Ends the program with SIGTERM, five seconds later with SIGKILL. */
  signal?: AbortSignal
  /** How much of the end of stderr is kept; 8 KiB unless told. */
  stderrBytes?: number
}

export interface RunningProgram {
  readonly pid: number | undefined
  readonly stdin: Writable
  /** Must be read to its end, or destroyed: the program waits for its reader. */
  readonly stdout: Readable
  /** Settles when the program has ended and stdout is used up. @throws ProgramError */
  readonly done: Promise<void>
  /** The end of what it has written to stderr so far. */
  errors(): string
  /** SIGTERM, five seconds later SIGKILL. */
  kill(): void
}

/** A program did not start, was killed, or ended with another exit code than 0. */
export class ProgramError extends Error {
  readonly exitCode: number | undefined
  readonly signal: string | undefined
  /** The last 8 KiB that it wrote to stderr. */
  readonly stderr: string

  constructor(message: string, details: { exitCode?: number; signal?: string; stderr: string; cause: unknown }) {
    super(message, { cause: details.cause })
    this.name = 'ProgramError'
    this.exitCode = details.exitCode
    this.signal = details.signal
    this.stderr = details.stderr
  }
}

/** Starts a program with streams for its input and output. It is killed when this process exits. */
export function startProgram(file: string, args: readonly string[], options: ProgramOptions = {}): RunningProgram {
  const child = execa(file, args, {
    ...spawnOptions(options),
    buffer: false,
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'pipe'
  })
  // execa drops the output that is not read yet, unless the stream is paused on purpose.
  child.stdout.pause()
  const errors = keepLast(child.stderr, options.stderrBytes)
  return {
    pid: child.pid,
    stdin: child.stdin,
    stdout: child.stdout,
    done: doneOf(file, child, errors),
    errors,
    kill: () => {
      child.kill()
    }
  }
}

/** Starts a program that reads nothing and writes to a file, or a pipe. It is killed when this process exits. */
export function startProgramInto(
  descriptor: number,
  file: string,
  args: readonly string[],
  options: ProgramOptions = {}
): Pick<RunningProgram, 'done' | 'kill'> {
  // execa takes any descriptor; its types know those up to 9.
  const child = execa(file, args, {
    ...spawnOptions(options),
    buffer: false,
    stdin: 'ignore',
    stdout: descriptor as 3,
    stderr: 'pipe'
  })
  return {
    done: doneOf(file, child, keepLast(child.stderr)),
    kill: () => {
      child.kill()
    }
  }
}

function doneOf(file: string, child: Promise<unknown> & { kill: () => unknown }, errors: () => string): Promise<void> {
  const done = endWithUs(child).then(
    () => {},
    (error: unknown) => {
      throw programError(file, error, errors())
    }
  )
  // The caller may still be busy with the streams when the program fails.
  done.catch(() => {})
  return done
}

/**
 * Runs a program of little output to its end and returns what it wrote to stdout, 1 MiB at most.
 * @throws ProgramError
 */
export async function runProgram(
  file: string,
  args: readonly string[],
  options: ProgramOptions & { input?: string } = {}
): Promise<string> {
  try {
    const result = await endWithUs(
      execa(file, args, {
        ...spawnOptions(options),
        ...(options.input === undefined ? { stdin: 'ignore' as const } : { input: options.input }),
        maxBuffer: 1024 * 1024,
        encoding: 'utf8'
      })
    )
    return result.stdout
  } catch (error) {
    throw programError(file, error, lastBytes((error as { stderr?: unknown }).stderr))
  }
}

function spawnOptions({ env, uid, gid, cwd, signal }: ProgramOptions) {
  return {
    // HOME leads nowhere, so that ~/.pgpass and ~/.postgresql can't make a tool connect differently from the driver.
    env: { PATH: '/usr/bin:/bin', HOME: '/nonexistent', LANG: 'C.UTF-8', LC_MESSAGES: 'C', ...env },
    extendEnv: false,
    forceKillAfterDelay,
    detached,
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
    ...(cwd === undefined ? {} : { cwd }),
    ...(signal === undefined ? {} : { cancelSignal: signal })
  }
}

function endWithUs<Child extends Promise<unknown> & { kill: () => unknown }>(child: Child): Child {
  running.add(child)
  const forget = (): void => {
    running.delete(child)
  }
  child.then(forget, forget)
  return child
}

function keepLast(stream: Readable, limit = stderrLimit): () => string {
  let kept = Buffer.alloc(0)
  stream.on('data', (chunk: Buffer) => {
    const all = Buffer.concat([kept, chunk])
    kept = all.length > limit ? all.subarray(-limit) : all
  })
  return () => kept.toString('utf8').trim()
}

function lastBytes(stderr: unknown): string {
  return typeof stderr === 'string' ? Buffer.from(stderr).subarray(-stderrLimit).toString('utf8').trim() : ''
}

function programError(file: string, error: unknown, stderr: string): ProgramError {
  const { exitCode, signal, isCanceled, code } = error as {
    exitCode?: number
    signal?: string
    isCanceled?: boolean
    code?: string
  }
  const name = file.slice(file.lastIndexOf('/') + 1)
  const outcome = isCanceled
    ? 'was cancelled'
    : signal !== undefined
      ? `was killed by ${signal}`
      : exitCode !== undefined
        ? `ended with exit code ${exitCode}`
        : `could not be run (${code ?? 'unknown'})`
  return new ProgramError(`${name} ${outcome}${stderr === '' ? '.' : `: ${stderr}`}`, {
    exitCode,
    signal,
    stderr,
    cause: error
  })
}

/**
 * Hands a program one block of input and returns all that it writes, waiting for it: for a thread that has nothing else
 * to do.
 * @throws ProgramError
 */
export function runFilter(file: string, args: readonly string[], input: Buffer): Buffer {
  const filter = () =>
    spawnSync(file, args, {
      input,
      env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
      stdio: ['pipe', 'pipe', 'ignore'],
      maxBuffer: Infinity
    })
  let ended = filter()
  // Not in a session of its own: Linux gives sessions equal shares (sched(7), "The autogroup feature"), whatever the
  // thread's priority.
  while (terminalSignals.has(ended.signal)) ended = filter()
  const { stdout, status, signal, error } = ended
  if (error !== undefined) throw new ProgramError(`${file} could not be run.`, { stderr: '', cause: error })
  if (status !== 0) {
    throw new ProgramError(`${file} ended with ${status ?? signal}.`, {
      exitCode: status ?? undefined,
      signal: signal ?? undefined,
      stderr: '',
      cause: undefined
    })
  }
  return stdout
}
