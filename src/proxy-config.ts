import { isIP } from 'node:net'

/** @returns the URL without a slash at its end; empty when it is not set, or wrong, which `problems` tells then */
export function readPublicUrl(value: string | undefined, problems: string[]): string {
  if (value === undefined) return ''
  const url = URL.canParse(value) ? new URL(value) : null
  const plain =
    url !== null &&
    /^https?:$/.test(url.protocol) &&
    [url.username, url.password, url.search, url.hash].every(part => part === '')
  if (plain) return url.href.replace(/\/+$/, '')
  // It is not shown, since it may hold a password.
  problems.push('PUBLIC_URL must be an http or https URL without a user, a query or a fragment.')
  return ''
}

/** @returns how many proxies in a row are believed, their addresses, or whether all or none are */
export function readTrustedProxies(value: string | undefined, problems: string[]): boolean | number | string[] {
  if (value === undefined || value === 'false') return false
  if (value === 'true') return true
  if (/^[0-9]{1,2}$/.test(value)) return Number(value)
  const proxies = value.split(',').map(part => part.trim())
  if (proxies.every(isProxy)) return proxies
  problems.push(
    `TRUST_PROXY must be addresses or subnets separated by commas, loopback, linklocal, uniquelocal, a number of proxies, true or false, not ${JSON.stringify(value)}.`
  )
  return false
}

function isProxy(text: string): boolean {
  if (['loopback', 'linklocal', 'uniquelocal'].includes(text)) return true
  const [address = '', bits, ...rest] = text.split('/')
  const family = isIP(address)
  if (family === 0 || rest.length > 0) return false
  return (
    bits === undefined || (/^[0-9]{1,3}$/.test(bits) && Number(bits) >= 1 && Number(bits) <= (family === 4 ? 32 : 128))
  )
}
