import type { Logger } from 'pino'

/** What the core needs of a logger; pino's own and Fastify's both are one. */
export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>
