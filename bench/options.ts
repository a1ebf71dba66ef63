import { parseArgs } from 'node:util'

export interface Options<Name extends string> {
  numbers: Record<Name, number>
  /** Run what people do without us as well. */
  peers: boolean
  json: boolean
}

/**
 * Options of the command line: numbers with their defaults, and what every benchmark knows. `--help` prints and exits.
 */
export function readOptions<Name extends string>(help: string, defaults: Record<Name, number>): Options<Name> {
  const names = Object.keys(defaults) as Name[]
  const { values } = parseArgs({
    options: {
      ...Object.fromEntries(names.map(name => [name, { type: 'string' as const }])),
      peers: { type: 'boolean' },
      'no-peers': { type: 'boolean' },
      json: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' }
    }
  }) as { values: Record<string, string | boolean | undefined> }
  if (values.help === true) {
    const sizes = names.map(name => `  --${name} N`.padEnd(22) + `default ${defaults[name]}`)
    console.log(
      [
        help.trim(),
        '',
        ...sizes,
        '  --no-peers          only ours',
        '  --json              for programs',
        '  --help'
      ].join('\n')
    )
    process.exit()
  }
  const numbers = Object.fromEntries(names.map(name => [name, Number(values[name] ?? defaults[name])])) as Record<
    Name,
    number
  >
  for (const name of names) {
    if (!(numbers[name] >= 0)) throw new Error(`--${name} must be a number, not ${String(values[name])}.`)
  }
  return { numbers, peers: values['no-peers'] !== true, json: values.json === true }
}
