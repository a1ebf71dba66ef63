import openapiTS, { astToString } from 'openapi-typescript'
import { pino } from 'pino'
import { buildApp } from '../src/app.js'
import { loadConfig } from '../src/config.js'
import { createCore } from '../src/create-core.js'
import { createJobRunner } from '../src/jobs/runner.js'

/** What is committed here and made from the routes: the API document, and the types of its client. */
export async function renderFiles (): Promise<Array<{ name: string, content: string }>> {
  const document = await makeDocument()
  const types = astToString(await openapiTS(document as Parameters<typeof openapiTS>[0], { defaultNonNullable: false }))
  return [
    { name: 'openapi.json', content: `${JSON.stringify(document, null, 2)}\n` },
    { name: 'schema.d.ts', content: `// Made from openapi.json by \`npm run openapi\`.\n${types}` }
  ]
}

/** The document as the service answers it. Nothing is started for it. */
async function makeDocument (): Promise<object> {
  const config = loadConfig({ JWT_SECRET: 'only to describe the service, not to run it' })
  const log = pino({ level: 'silent' })
  const app = await buildApp({ config, core: createCore(config, log), jobs: createJobRunner({ log }) })
  try {
    await app.ready()
    return app.swagger()
  } finally {
    await app.close()
  }
}
