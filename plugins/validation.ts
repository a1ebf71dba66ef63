import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { FormatRegistry, type TSchema } from '@sinclair/typebox'
import { TypeCompiler, ValueErrorType, type ValueError } from '@sinclair/typebox/compiler'
import { Value } from '@sinclair/typebox/value'
import { isUuid } from '../src/io/safe-path.js'

/**
 * Bodies are taken as they are: nothing is coerced and nothing removed, so that a misspelt `dryRun` is refused.
 * What comes as text by its nature (query, path) is converted. Every wrong field is reported, not just the first.
 */
async function validationPlugin(app: FastifyInstance): Promise<void> {
  FormatRegistry.Set('uuid', isUuid)

  app.setValidatorCompiler<TSchema>(({ schema, httpPart }) => {
    const check = TypeCompiler.Compile(schema)
    return (input: unknown) => {
      const value = Value.Default(schema, httpPart === 'body' ? input : Value.Convert(schema, input))
      if (check.Check(value)) return { value }
      const error = firstOfEachField(check.Errors(value)).map(found => ({
        instancePath: found.path,
        keyword: 'typebox',
        schemaPath: found.path,
        params: {},
        message: expectation(found) ?? found.message.charAt(0).toLowerCase() + found.message.slice(1)
      }))
      return { error }
    }
  })

  // No body means one without fields: the defaults, where there are.
  app.addHook('preValidation', async request => {
    if (request.body === undefined && request.routeOptions.schema?.body !== undefined) request.body = {}
  })

  // An empty body is no body, whatever its content type says; text is never one.
  app.removeContentTypeParser('text/plain')
  const parseJson = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined)
    else void parseJson(request, body as string, done)
  })
}

function firstOfEachField(errors: Iterable<ValueError>): ValueError[] {
  const fields = new Map<string, ValueError>()
  for (const error of errors) if (!fields.has(error.path)) fields.set(error.path, error)
  return [...fields.values()]
}

/** Better words than "Expected union value" for a choice, than a pattern, and than "Unexpected property" alone. */
function expectation({ type, schema }: ValueError): string | undefined {
  if (type === ValueErrorType.ObjectAdditionalProperties) return unexpected(schema)
  if (schema.pattern !== undefined && schema.description !== undefined) {
    const [example] = (schema.examples ?? []) as unknown[]
    return `expected: ${schema.description}${example === undefined ? '' : `, such as ${String(example)}`}`
  }
  const choices = (schema.anyOf as TSchema[] | undefined)?.map(option => option.const as unknown)
  return choices?.every(choice => typeof choice === 'string') === true
    ? `expected one of ${choices.join(', ')}`
    : undefined
}

/** Names what there is, since the one that is meant is among it. */
function unexpected({ properties, description = 'there are none here' }: TSchema): string {
  const names = Object.keys(properties as object)
  return `unexpected property: ${names.length === 0 ? description : `expected are ${names.join(', ')}`}`
}

export default fp(validationPlugin, { name: 'validation' })
