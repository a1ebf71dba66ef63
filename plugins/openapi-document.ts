interface Schema {
  title?: string
  $ref?: string
  const?: unknown
  required?: string[]
  default?: unknown
  properties?: Record<string, Schema>
}
type Content = Record<string, { schema: Schema }>
interface Operation {
  parameters?: Array<{ in: string; name: string; required?: boolean; schema?: Schema }>
  requestBody?: { required: boolean; content: Content }
  responses?: Record<string, { headers?: Record<string, object>; content?: Content }>
}
export interface Document {
  components?: { schemas?: Record<string, { properties?: Record<string, object> }> }
  paths?: Record<string, Record<string, Operation>>
}

/** What can be said in OpenAPI, but not by the schemas that requests and answers are handled with. */
export function completeDocument(document: Document): Document {
  const named: Record<string, Schema> = {}
  for (const operations of Object.values(document.paths ?? {})) {
    for (const operation of Object.values(operations)) {
      allowDefaults(operation)
      nameSchemas(operation, named)
      nameHeaders(operation)
    }
  }
  const schemas = document.components?.schemas
  if (schemas !== undefined) Object.assign(schemas, named)
  const job = schemas?.Job?.properties
  if (job !== undefined)
    Object.assign(job, {
      result,
      error: { $ref: '#/components/schemas/JobError', description: 'Why it failed or was cancelled' }
    })
  return withEnums(document) as Document
}

const results = { backup: 'Backup', restore: 'RestoreResult', deletion: 'Deletion' }
const place = (name: string): string => `#/components/schemas/${name}`

const result = {
  description: 'What the operation itself would have answered',
  oneOf: Object.values(results).map(name => ({ $ref: place(name) })),
  discriminator: {
    propertyName: 'object',
    mapping: Object.fromEntries(Object.entries(results).map(([object, name]) => [object, place(name)]))
  }
}

/** What has a default, and a body of nothing else, need not be sent. */
function allowDefaults({ parameters = [], requestBody }: Operation): void {
  for (const parameter of parameters) if (parameter.schema?.default !== undefined) parameter.required = false
  if (requestBody === undefined) return
  for (const { schema } of Object.values(requestBody.content)) {
    const needed = schema.required?.filter(name => schema.properties?.[name]?.default === undefined) ?? []
    schema.required = needed.length === 0 ? undefined : needed
    requestBody.required = needed.length > 0 || schema.properties === undefined
  }
}

/** Bodies whose schema has a title become schemas of that name, so that generated clients have types for them. */
function nameSchemas({ requestBody, responses = {} }: Operation, named: Record<string, Schema>): void {
  for (const { content = {} } of [
    ...(requestBody === undefined ? [] : [requestBody]),
    ...Object.values(responses)
  ] as Array<{ content?: Content }>) {
    for (const media of Object.values(content)) {
      const { title, ...schema } = media.schema
      if (title === undefined) continue
      named[title] = schema
      media.schema = { $ref: place(title) }
    }
  }
}

/** Node.js and Fastify know headers in small letters; people and documentation know them as the RFCs write them. */
function nameHeaders({ parameters = [], responses = {} }: Operation): void {
  for (const parameter of parameters) if (parameter.in === 'header') parameter.name = usual(parameter.name)
  for (const response of Object.values(responses)) {
    if (response.headers !== undefined)
      response.headers = Object.fromEntries(
        Object.entries(response.headers).map(([name, header]) => [usual(name), header])
      )
  }
}

function usual(header: string): string {
  const special: Record<string, string> = { etag: 'ETag', 'www-authenticate': 'WWW-Authenticate' }
  return special[header] ?? header.replaceAll(/\b[a-z]/g, letter => letter.toUpperCase())
}

/** A choice of texts as `enum`, which tools show better than `anyOf` of constants. */
function withEnums(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withEnums)
  if (typeof value !== 'object' || value === null) return value
  const { anyOf, ...rest } = value as { anyOf?: Array<{ const?: unknown }> }
  if (anyOf?.every(option => typeof option.const === 'string') === true) {
    return { ...rest, type: 'string', enum: anyOf.map(option => option.const) }
  }
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, withEnums(part)]))
}
