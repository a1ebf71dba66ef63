import { createEmbeddedDatabase } from '../../src/database/embedded/embedded.js'

/** A service that only starts the embedded database of the folder it is given, to be killed by a test. */
const log = { debug() {}, info() {}, warn() {}, error() {} }
await createEmbeddedDatabase({ directory: process.argv[2] ?? '', binDir: process.env.PG_BIN_DIR ?? null, log }).start()
process.stdout.write('ready\n')
setInterval(() => {}, 60_000)
