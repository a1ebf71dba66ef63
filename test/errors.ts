import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { AppError, errorCatalogue, errorFields } from '../src/errors.js'
import { projectFile } from './support/project.js'

/**
 * What the sources say of codes without meaning that they are thrown: comments, comparisons, lists that are looked in.
 */
const asides = [/\/\*[\s\S]*?\*\//g, /\/\/.*$/gm, /[!=]==? '[A-Z_]+'/g, /\[[^\]]*\]\.includes/g]

t.test('every code of the catalogue is thrown somewhere', async t => {
  let sources = ''
  for (const folder of ['src', 'plugins', 'routes']) {
    for (const name of await readdir(projectFile(folder), { recursive: true })) {
      const path = join(folder, name)
      if (!name.endsWith('.ts') || path === 'src/errors.ts' || path.startsWith('routes/schemas/')) continue
      const code = asides.reduce((text, aside) => text.replace(aside, ''), await readFile(projectFile(path), 'utf8'))
      // Routes list the codes of their answers, too.
      sources += folder === 'routes' ? [...code.matchAll(/new AppError\(\s*'[A-Z_]+'/g)].join('\n') : code
    }
  }
  t.notOk(sources.includes("'NO_SUCH_CODE'"))
  for (const code of Object.keys(errorCatalogue)) t.ok(sources.includes(`'${code}'`), code)
})

t.test('the log gets the path and the errors behind one that is known, and the stack of one that is not', t => {
  const cause = Object.assign(new Error('ENOENT: no such file or directory'), { path: '/srv/uploads' })
  const known = errorFields(
    new AppError('STORAGE_UNAVAILABLE', 'folder-missing', 'It is away.', {
      remedy: 'Mount it.',
      cause: new AggregateError([new Error('outer', { cause })], 'both')
    })
  )
  t.same(known, {
    code: 'STORAGE_UNAVAILABLE',
    reason: 'folder-missing',
    remedy: 'Mount it.',
    errors: undefined,
    path: '/srv/uploads',
    causes: ['both', 'outer', cause.message]
  })
  t.equal(errorFields(new AppError('INTERNAL_ERROR', 'unexpected', 'Unexpected.', { cause })).err, cause)
  t.end()
})
