import openapiTS, { astToString } from 'openapi-typescript'
import { pino } from 'pino'
import { buildApp } from '../src/app.js'
import { loadConfig } from '../src/config.js'
import { createCore } from '../src/create-core.js'
import { createJobs } from '../src/create-jobs.js'
import { Tenancy } from '../src/database/tenancy/tenancy-file.js'

/**
 * What is committed here and made from the code: the API document, the types of its client, and the schema of
 * TENANCY_FILE.
 */
export async function renderFiles(): Promise<Array<{ name: string; content: string }>> {
  const document = await makeDocument()
  const types = astToString(await openapiTS(document as Parameters<typeof openapiTS>[0], { defaultNonNullable: false }))
  return [
    { name: 'openapi.json', content: `${JSON.stringify(document, null, 2)}\n` },
    { name: 'schema.d.ts', content: `// Made from openapi.json by \`npm run openapi\`.\n${types}` },
    { name: 'tenancy.schema.json', content: `${JSON.stringify(tenancySchema(), null, 2)}\n` }
  ]
}

/** The document as the service answers it. Nothing is started for it. */
async function makeDocument(): Promise<object> {
  const config = loadConfig({ JWT_SECRET: 'only to describe the service, not to run it' })
  const log = pino({ level: 'silent' })
  const core = createCore(config, log)
  const app = await buildApp({ config, core, jobs: createJobs(core, { places: config.maxJobs }) })
  try {
    await app.ready()
    return app.swagger()
  } finally {
    await app.close()
  }
}

/** For editors and checkers: https://json-schema.org/draft/2020-12/schema. */
function tenancySchema(): object {
  const { $id, ...schema } = Tenancy
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: $id,
    description:
      "TENANCY_FILE of dumbassets-backup: the operator's word on tables whose owner the foreign keys do not tell, or tell in two ways",
    ...schema
  }
}
