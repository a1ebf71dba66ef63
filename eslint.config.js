import tseslint from 'typescript-eslint'
import { noIdentifierHelper } from './eslint-identifiers.js'
import { noVagueSubject } from './eslint-words.js'

/** Layers of the core, lowest first: each may import what stands before it, and itself. */
const layers = [
  ['errors', 'log', 'io'],
  ['database', 'storage'],
  ['jobs', 'repository', 'archive'],
  ['backup', 'restore', 'retention', 'schedule', 'health'],
  ['operations']
]
const http = [
  'fastify',
  'fastify/*',
  'fastify-plugin',
  '@fastify/*',
  '**/plugins/*',
  '**/routes/**',
  '**/app.js',
  '**/server.js'
]

const forbid = (...groups) => ({
  'no-restricted-imports': 'off',
  '@typescript-eslint/no-restricted-imports': [
    'error',
    {
      patterns: groups.map(({ group, message, allowTypeImports = false }) => ({ group, message, allowTypeImports }))
    }
  ]
})
const noBarrels = { selector: 'ExportAllDeclaration', message: 'No barrels: import from where it is.' }
const plainReason = {
  selector:
    'NewExpression[callee.name="AppError"][arguments.1.type="Literal"]:not([arguments.1.value=/^[a-z0-9]+(-[a-z0-9]+)*$/])',
  message: 'A reason is words in small letters joined by hyphens, such as overlapping-entries.'
}
const noHttp = { group: http, message: 'The core knows no HTTP.' }
const noCore = { group: ['**/core.js'], message: 'What the operations work with is handed in, each part by itself.' }
const noConfig = {
  group: ['**/config.js', '**/environment.js'],
  message: 'Settings are handed in; only the composition root reads the environment.'
}

const layerRules = layers.flatMap((folders, index) =>
  folders
    .filter(folder => !['errors', 'log'].includes(folder))
    .map(folder => ({
      files: [`src/${folder}/**/*.ts`],
      rules: forbid(
        noHttp,
        noConfig,
        ...(index < 2 || folder === 'repository' || folder === 'archive' ? [noCore] : []),
        ...layers
          .slice(index + 1)
          .flat()
          .map(upper => ({
            group: [`**/${upper}/**`],
            // The words of an upper layer may be used below it, its behaviour may not.
            allowTypeImports: true,
            message: `${folder} lies below ${upper}.`
          }))
      )
    }))
)

export default tseslint.config(
  { ignores: ['build/', 'dist/', 'node_modules/', '.tap/', 'data/', 'openapi/schema.d.ts', 'test/fixtures/clients/'] },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.base],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    plugins: {
      sql: { rules: { 'no-identifier-helper': noIdentifierHelper } },
      words: { rules: { 'no-vague-subject': noVagueSubject } }
    },
    rules: {
      'sql/no-identifier-helper': 'error',
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-unnecessary-type-assertion': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/only-throw-error': ['error', { allowThrowingUnknown: true }],
      '@typescript-eslint/prefer-promise-reject-errors': ['error', { allowThrowingUnknown: true }],
      '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      eqeqeq: 'error',
      'no-console': 'error',
      // What the formatter can't break: SQL and sentences stay whole, so that a search finds them.
      'max-len': [
        'error',
        { code: 120, ignoreStrings: true, ignoreTemplateLiterals: true, ignoreRegExpLiterals: true, ignoreUrls: true }
      ],
      'no-var': 'error',
      'prefer-const': 'error'
    }
  },
  {
    files: ['src/**/*.ts', 'plugins/**/*.ts', 'routes/**/*.ts'],
    ignores: ['src/server.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'env', message: 'Only src/config.ts is given the environment.' }
      ]
    }
  },
  {
    files: ['src/*.ts'],
    ignores: ['src/app.ts', 'src/server.ts'],
    rules: forbid(noHttp)
  },
  {
    files: ['src/errors.ts', 'src/log.ts'],
    rules: forbid({ group: ['./*', '../*'], message: 'Everything may import this, so it imports nothing of ours.' })
  },
  {
    files: ['src/io/**/*.ts'],
    rules: forbid(noHttp, noConfig, {
      group: ['../*', '!../errors.js'],
      message: 'io imports errors and Node only.'
    })
  },
  ...layerRules.filter(({ files }) => files[0] !== 'src/io/**/*.ts'),
  {
    files: ['routes/**/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              group: ['node:fs', 'node:fs/*', 'postgres', '**/app.js', '**/server.js'],
              message: 'Routes call the core; they touch no files and no SQL.'
            }
          ]
        }
      ]
    }
  },
  {
    files: ['src/**/*.ts', 'plugins/**/*.ts', 'routes/**/*.ts', 'openapi/**/*.ts', 'scripts/**/*.ts'],
    rules: {
      'no-restricted-syntax': ['error', noBarrels, plainReason],
      'words/no-vague-subject': 'error'
    }
  },
  {
    // Messages too, since which text ends up in SQL can't be told from it.
    files: ['src/database/**/*.ts', 'src/restore/database-diff.ts', 'src/restore/*-participant.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        noBarrels,
        plainReason,
        ...['TemplateElement[value.raw=/[^\\x00-\\x7f]/]', 'Literal[raw=/[^\\x00-\\x7f]/]'].map(selector => ({
          selector,
          message:
            'SQL is written in ASCII: a database in LATIN1 or WIN1252 does not have every other character (SQLSTATE 22P05).'
        }))
      ]
    }
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      // tap runs the tests of a file one after the other, awaited or not.
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            { from: 'package', package: '@tapjs/core', name: 'test' },
            { from: 'package', package: '@tapjs/test', name: 'test' }
          ]
        }
      ]
    }
  },
  {
    files: ['scripts/**/*.ts', 'bench/**/*.ts'],
    rules: { 'no-console': 'off' }
  }
)
