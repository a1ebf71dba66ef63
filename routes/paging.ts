import { Type, type TInteger, type TOptional, type TString } from '@sinclair/typebox'

/** Query fields of a list that is answered page by page. */
export function pageOf(what: string, usual: number): { limit: TInteger; cursor: TOptional<TString> } {
  return {
    limit: Type.Integer({ minimum: 1, maximum: 100, default: usual, description: `${what} at most in one answer` }),
    cursor: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 500,
        description: 'Where to go on, from the Link header of the page before'
      })
    )
  }
}

/** A Link header (RFC 8288) that leads to the next page. */
export function linkToNext(address: string, query: Record<string, string | number | undefined>): string {
  const given = Object.entries(query)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => [name, String(value)] as const)
  return `<${address}?${new URLSearchParams(Object.fromEntries(given)).toString()}>; rel="next"`
}
