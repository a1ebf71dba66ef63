import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { Document, Operation } from './operations.js'

export interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: string
}

/** Checks answers against the document as a client would, which has nothing else; answers what is wrong, or null. */
export type CheckAnswer = (operation: Operation | undefined, method: string, answer: Answer) => string | null

/** What no answer may hold: stacks, paths of the host, and words of the programs and libraries below. */
const leaks =
  /\n\s+at |node_modules|node:internal|\.[jt]s:\d+|"stack"|\/(?:tmp|root|home|usr|var|work)\/|file:\/\/|E(?:NOENT|ACCES|PERM|EXIST|NOTDIR|ISDIR|IO|CONN[A-Z]+)\b|FST_|postgres(?:ql)?:\/\//
const errorReference = { $ref: 'api#/components/schemas/ErrorResponse' }

export function createContract(document: Document): CheckAnswer {
  const ajv = new Ajv2020({ strict: false, allErrors: true })
  addFormats.default(ajv)
  ajv.addSchema(closed(document) as object, 'api')
  const compiled = new Map<string, ValidateFunction>()
  const compile = (schema: object): ValidateFunction => {
    const key = JSON.stringify(schema)
    const check = compiled.get(key) ?? ajv.compile(schema)
    compiled.set(key, check)
    return check
  }

  return (operation, method, { status, headers, body }) => {
    const leak = leaks.exec(body)
    if (leak !== null) return `it tells ${leak[0]}`
    // Only one document says what an unknown address answers: the error's own.
    const response = operation === undefined ? undefined : operation.responses[status]
    if (operation !== undefined && response === undefined)
      return `${status} is not documented for ${operation.operationId}`
    if (operation === undefined && (status < 400 || status >= 500)) return `${status} for an unknown operation`
    if (status >= 500) return `${status} on a service in good order`
    if (method === 'HEAD' || status === 304) return body === '' ? null : 'it has a body'

    const [type = ''] = String(headers['content-type'] ?? '').split(';')
    const documented = response?.content ?? { 'application/json': { schema: errorReference } }
    if (documented[type] === undefined) return `${type} is not documented for ${status}`
    if (type !== 'application/json') return null
    let content: unknown
    try {
      content = JSON.parse(body)
    } catch {
      return 'it is no JSON'
    }
    const schema =
      response === undefined || operation === undefined
        ? errorReference
        : {
            $ref: `api#/paths/${escaped(operation.path)}/${operation.method.toLowerCase()}/responses/${status}/content/${escaped(type)}/schema`
          }
    const check = compile(schema)
    if (!check(content)) return `it is not as documented: ${ajv.errorsText(check.errors)}`
    if (status >= 400 && (content as { statusCode: number }).statusCode !== status)
      return 'its statusCode is not its status'
    return null
  }
}

/** A part of a JSON pointer in a URI fragment (RFC 6901, sections 3 and 6). */
function escaped(part: string): string {
  return encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))
}

/** The same schemas, in which an object has no other fields than those that are described. */
function closed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closed)
  if (typeof value !== 'object' || value === null) return value
  const parts = Object.fromEntries(Object.entries(value).map(([key, part]) => [key, closed(part)]))
  return parts.type === 'object' && typeof parts.properties === 'object'
    ? { additionalProperties: false, ...parts }
    : parts
}
