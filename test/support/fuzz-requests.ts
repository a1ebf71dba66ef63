import fc from 'fast-check'
import { generateSync, type JsonSchema } from 'json-schema-faker'
import type { Operation } from './operations.js'

/** A request as it goes out; `{known}` parts of its path are filled in with ids that exist. */
export interface FuzzRequest {
  method: string
  path: string
  headers: Record<string, string>
  body: string | null
  /** In how many pieces the body is sent; 0: with its length, at once. */
  pieces: number
  /** The client leaves before it has sent everything. */
  leaves: boolean
}

const hostile = fc.constantFrom(
  '',
  ' ',
  '.',
  '..',
  '../..',
  '../../etc/passwd',
  '..\\..',
  '/',
  '//',
  '\0',
  '%00',
  '%2e%2e%2f',
  '%',
  '%zz',
  '%c0%ae',
  '\r\nx: y',
  '\u202e',
  '😀',
  '\ud800',
  '__proto__',
  'constructor',
  'null',
  'undefined',
  'NaN',
  '-1',
  '0',
  '1e309',
  '9007199254740993',
  '0x10',
  'true',
  '[]',
  '{}',
  '{"$ref":"#"}',
  '*',
  ';',
  "'",
  "'; DROP TABLE items; --",
  '$(id)',
  '`id`',
  '${7*7}',
  '<script>',
  'a'.repeat(101),
  'a'.repeat(3000),
  'bytes=0-0',
  'bytes=0-0,1-1',
  'bytes=-1',
  'bytes=9-1',
  'bytes=-0',
  `bytes=${'0-0,'.repeat(500)}1-1`,
  'respond-async',
  'wait=1, respond-async; x',
  '"*"',
  'W/"a"',
  '*/*',
  'gzip',
  'chunked',
  'sha-256=::',
  'sha-256=:AAAA:',
  '00000000-0000-0000-0000-000000000000',
  '127.0.0.1',
  'acme',
  'globex'
)
const text = fc.oneof(hostile, fc.string({ maxLength: 40 }), fc.string({ unit: 'binary', maxLength: 20 }))

/** What a JSON schema allows, by a seed of json-schema-faker's own, so that fast-check can repeat it. */
function allowedBy(schema: object): fc.Arbitrary<unknown> {
  return fc
    .integer({ min: 1, max: 1 << 30 })
    .map(seed => generateSync(schema as JsonSchema, { seed, optionalsProbability: 0.7 }))
}

const anyJson: fc.Arbitrary<unknown> = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  text,
  fc.constantFrom<unknown>([], {}, null, 0, -1, 1.5, true, '', [[]], { length: 1e9 })
)

/** A body that the schema allows, and then one thing in it that it may not. */
function almostAllowedBy(schema: object): fc.Arbitrary<unknown> {
  const known = Object.keys((schema as { properties?: object }).properties ?? {})
  const names = fc.oneof(
    fc.constantFrom('dryrun', 'organizationId', '__proto__', 'constructor', 'toString', ...known),
    text
  )
  return fc.tuple(allowedBy(schema), names, anyJson).map(([body, name, value]) => {
    // JSON.parse makes an own property of __proto__, as the service's parser would.
    return {
      ...(body as object),
      ...(JSON.parse(`{${JSON.stringify(name)}: ${JSON.stringify(value) ?? 'null'}}`) as object)
    }
  })
}

const brokenJson = fc.constantFrom(
  '{',
  '}',
  '[',
  '"',
  'nul',
  '{"a":}',
  "{'a': 1}",
  '{"a": 1,}',
  '\ufeff{}',
  '{}{}',
  '{"a": NaN}',
  '{"dryRun": true, "dryRun": false}',
  '\0',
  '{"\\ud800": 1}',
  '{"__proto__": {"x": 1}}',
  '{"constructor": {"prototype": {"x": 1}}}',
  '['.repeat(5000),
  '{"a":'.repeat(5000),
  `{"description": "${'x'.repeat(70_000)}"}`,
  `[${'0,'.repeat(10_000)}0]`,
  `{"n": ${'9'.repeat(5000)}}`
)
const types = fc.constantFrom(
  'application/json',
  'application/json; charset=utf-8',
  'application/json; charset=utf-16',
  'APPLICATION/JSON',
  'application/problem+json',
  'text/plain',
  'text/html',
  'application/xml',
  'application/x-www-form-urlencoded',
  'multipart/form-data',
  'multipart/form-data; boundary=x',
  `multipart/form-data; boundary=${'x'.repeat(80)}`,
  'application/zip',
  'application/octet-stream',
  'a',
  '/',
  ';',
  'application/json;',
  ''
)

interface Body {
  type: string | null
  body: string | null
}

function bodyOf({ requestBody }: Operation): fc.Arbitrary<Body> {
  const none: Body = { type: null, body: null }
  const schema = requestBody?.content['application/json']?.schema
  const json = (content: fc.Arbitrary<unknown>) =>
    content.map((content): Body => ({ type: 'application/json', body: JSON.stringify(content) ?? '' }))
  const form = fc.tuple(fc.constantFrom('archive', 'other', ''), text).map(([name, content]): Body => ({
    type: 'multipart/form-data; boundary=x',
    body: `--x\r\ncontent-disposition: form-data; name="${name}"; filename="a.zip"\r\n\r\n${content}\r\n--x--\r\n`
  }))
  return fc.oneof(
    ...(schema === undefined
      ? []
      : [
          { weight: 4, arbitrary: json(allowedBy(schema)) },
          { weight: 4, arbitrary: json(almostAllowedBy(schema)) }
        ]),
    ...(requestBody !== undefined && schema === undefined
      ? [
          { weight: 3, arbitrary: text.map((body): Body => ({ type: 'application/zip', body: `PK\x03\x04${body}` })) },
          { weight: 3, arbitrary: form }
        ]
      : []),
    { weight: 1, arbitrary: json(anyJson) },
    { weight: 1, arbitrary: brokenJson.map((body): Body => ({ type: 'application/json', body })) },
    { weight: 1, arbitrary: fc.tuple(types, text).map(([type, body]): Body => ({ type, body })) },
    { weight: schema === undefined ? 4 : 1, arbitrary: fc.constant(none) }
  )
}

function valuesOf(operation: Operation, place: 'query' | 'header'): fc.Arbitrary<Record<string, string>> {
  const declared = operation.parameters.filter(parameter => parameter.in === place)
  const others =
    place === 'query'
      ? ['x', 'organizationId', 'limit', '__proto__', 'type[]', '']
      : [
          'accept',
          'accept-encoding',
          'range',
          'if-range',
          'if-none-match',
          'if-match',
          'prefer',
          'expect',
          'x-forwarded-for',
          'x-http-method-override',
          'origin',
          'content-encoding',
          'repr-digest',
          'x-request-id',
          'cookie'
        ]
  const asked = declared.map(({ name, schema, required = false }) =>
    fc.tuple(
      fc.constant(name),
      fc.oneof({ weight: 3, arbitrary: allowedBy(schema).map(String) }, { weight: 2, arbitrary: text }),
      required ? fc.constant(true) : fc.boolean()
    )
  )
  const extra = fc.tuple(
    fc.constantFrom(...others),
    text,
    fc.integer({ min: 0, max: 3 }).map(chance => chance === 0)
  )
  return fc
    .tuple(extra, ...asked)
    .map(pairs => Object.fromEntries(pairs.filter(([, , sent]) => sent).map(([name, value]) => [name, value])))
}

/** Headers are visible ASCII; what a client could not send is left out. */
const sendable = (value: string): string => value.replaceAll(/[^ -~]/g, '').trim()
const encoded = (value: string): string => encodeURIComponent(value.replaceAll(/[\ud800-\udfff]/g, '?'))

function pathOf({ path }: Operation): fc.Arbitrary<string> {
  const parts = path.split('/').map(part =>
    !part.startsWith('{')
      ? fc.constant(part)
      : fc.oneof(
          { weight: 4, arbitrary: fc.constant(part) },
          { weight: 1, arbitrary: fc.uuid() },
          { weight: 1, arbitrary: text.map(encoded) },
          // Not encoded once more: %2e%2e%2f as it is.
          { weight: 1, arbitrary: text.map(value => value.replaceAll(/[^!-~]|[/?#{}]/g, '') || 'x') }
        )
  )
  const whole = fc.tuple(...parts).map(parts => parts.join('/'))
  return fc.oneof(
    { weight: 20, arbitrary: whole },
    { weight: 1, arbitrary: whole.map(path => `${path}/`) },
    { weight: 1, arbitrary: whole.map(path => path.replace('/', '//')) },
    { weight: 1, arbitrary: whole.map(path => path.replaceAll(/\b[a-z]+(?=\/|$)/g, name => name.toUpperCase())) }
  )
}

/**
 * Requests for an operation: as it wants them, almost, and not at all. `authorizations` are tried as often as they are
 * named.
 */
export function requestsFor(operation: Operation, authorizations: string[]): fc.Arbitrary<FuzzRequest> {
  const methods = fc.oneof(
    { weight: 12, arbitrary: fc.constant<string>(operation.method) },
    {
      weight: 1,
      arbitrary: fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND')
    }
  )
  return fc
    .record({
      method: methods,
      path: pathOf(operation),
      query: valuesOf(operation, 'query'),
      headers: valuesOf(operation, 'header'),
      body: bodyOf(operation),
      authorization: fc.constantFrom(...authorizations),
      pieces: fc.constantFrom(0, 0, 0, 1, 3),
      leaves: fc.integer({ min: 0, max: 19 }).map(chance => chance === 0)
    })
    .map(({ method, path, query, headers, body: { type, body }, authorization, pieces, leaves }) => {
      const search = Object.entries(query)
        .map(([name, value]) => `${encoded(name)}=${encoded(value)}`)
        .join('&')
      const given = { ...headers, authorization, ...(type === null ? {} : { 'content-type': type }) }
      return {
        method,
        path: search === '' ? path : `${path}?${search}`,
        headers: Object.fromEntries(
          Object.entries(given)
            .map(([name, value]) => [name, sendable(value)])
            .filter(([, value]) => value !== '')
        ),
        body,
        pieces,
        leaves: leaves && body !== null
      }
    })
}
