import createOpenapiClient, { type Client } from 'openapi-fetch'
import type { paths } from './schema.js'

/** A typed client of the service. `token` is an access token; without one only /health answers. */
export function createClient(baseUrl: string, token?: string): Client<paths> {
  return createOpenapiClient<paths>({
    baseUrl,
    ...(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } })
  })
}
