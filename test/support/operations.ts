import type { FastifyInstance } from 'fastify'

export interface Parameter {
  name: string
  in: 'path' | 'query' | 'header'
  required?: boolean
  schema: object
}
export interface Response {
  description: string
  content?: Record<string, { schema?: object; examples?: Record<string, { value: object }> }>
  headers?: object
}
interface Described {
  operationId: string
  security?: object[]
  parameters?: Parameter[]
  requestBody?: { required?: boolean; content: Record<string, { schema: { examples?: unknown[] } }> }
  responses: Record<string, Response>
}

/** The part of an OpenAPI document that the tests read. */
export interface Document {
  security?: object[]
  paths: Record<string, Record<string, Described>>
  components: { schemas: Record<string, object> }
}

/** One operation of the document. */
export interface Operation extends Described {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  path: string
  /** Nobody needs a token for it, as the document says. */
  isPublic: boolean
  parameters: Parameter[]
}

/** The document that the service gives out, with every operation in it: what a route adds is there at once. */
export async function readOperations(app: FastifyInstance): Promise<{ document: Document; operations: Operation[] }> {
  const document = (await app.inject({ url: '/openapi.json' })).json<Document>()
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, described]): Operation => ({
      ...described,
      ...(described.requestBody === undefined
        ? {}
        : { requestBody: { ...described.requestBody, content: resolved(document, described.requestBody.content) } }),
      method: method.toUpperCase() as Operation['method'],
      path,
      isPublic: (described.security ?? document.security)?.length === 0,
      parameters: described.parameters ?? []
    }))
  )
  return { document, operations }
}

/** The schemas themselves, where the document refers to them by name. */
function resolved(
  document: Document,
  content: Record<string, { schema: object }>
): Record<string, { schema: { examples?: unknown[] } }> {
  return Object.fromEntries(
    Object.entries(content).map(([type, media]) => {
      const { $ref } = media.schema as { $ref?: string }
      return [
        type,
        { ...media, schema: $ref === undefined ? media.schema : document.components.schemas[$ref.split('/').at(-1)!]! }
      ]
    })
  )
}

/** The path of an operation with its parameters filled in. @throws Error for a parameter without a value */
export function fillPath(path: string, values: Record<string, string>): string {
  return path.replaceAll(/\{([^}]+)\}/g, (_, name: string) => {
    const value = values[name]
    if (value === undefined) throw new Error(`There is no value for {${name}} in ${path}: add one to the test.`)
    return encodeURIComponent(value)
  })
}
