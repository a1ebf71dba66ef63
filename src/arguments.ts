import { describeVariables, variableNames, version } from './config.js'
import { nearestName } from './nearest.js'

/** What the command line asks for: to serve, or to print a text and end with that exit code. */
export type Command = { serve: true } | { serve: false; text: string; exitCode: 0 | 2 }

const usage = 'Usage: npm start [-- OPTION]\n\n  -h, --help      print this text\n  -V, --version   print the version'

/** @param args without the program and its script, as in `process.argv.slice(2)` */
export function readArguments(args: readonly string[]): Command {
  const unknown = args.find(argument => !['-h', '--help', '-V', '--version'].includes(argument))
  if (unknown !== undefined) return { serve: false, text: `${refusal(unknown)}\n\n${usage}\n`, exitCode: 2 }
  if (args.includes('-V') || args.includes('--version')) return { serve: false, text: `${version}\n`, exitCode: 0 }
  if (args.length > 0) {
    return {
      serve: false,
      text: `dumbassets-backup ${version}\n\n${usage}\n\nEnvironment variables:\n${describeVariables()}\n`,
      exitCode: 0
    }
  }
  return { serve: true }
}

/** Only the option's name is repeated: its value may be a secret. */
function refusal(argument: string): string {
  const [option = ''] = argument.split('=')
  const said = `Unknown argument ${JSON.stringify(option)}: settings are environment variables.`
  const meant = nearestName(option.replace(/^-+/, '').replaceAll('-', '_'), ['HELP', 'VERSION', ...variableNames])
  if (meant === null) return said
  return `${said} ${variableNames.includes(meant) ? `Set the variable ${meant}.` : `Did you mean --${meant.toLowerCase()}?`}`
}
