import t from 'tap'
import {
  isOrganizationId,
  isUuid,
  requireOrganizationId,
  requireUuid,
  unsafePathReason
} from '../../src/io/safe-path.js'

t.test('organization ids', async t => {
  for (const id of ['a', 'acme', 'ACME-1_b', '-', '_', '0', 'x'.repeat(64)]) t.equal(isOrganizationId(id), true, id)
  for (const id of [
    '',
    'x'.repeat(65),
    '.',
    '..',
    'a.b',
    'a/b',
    'a b',
    'ä',
    'acme\n',
    '\0',
    'backups',
    'Backups',
    'BACKUPS'
  ]) {
    t.equal(isOrganizationId(id), false, JSON.stringify(id))
    t.throws(() => requireOrganizationId(id), { code: 'ORGANIZATION_ID_INVALID' })
  }
})

t.test('backup ids are UUIDs in lower case', async t => {
  const id = '01234567-89ab-cdef-0123-456789abcdef'
  t.equal(requireUuid(id), id)
  for (const text of [
    '',
    id.toUpperCase(),
    `${id}\n`,
    ` ${id}`,
    id.slice(1),
    `${id}0`,
    id.replaceAll('-', ''),
    `${id.slice(0, -1)}g`
  ]) {
    t.equal(isUuid(text), false, JSON.stringify(text))
    t.throws(() => requireUuid(text), { code: 'VALIDATION_FAILED' })
  }
})

t.test('paths below a folder', async t => {
  for (const path of [
    'a',
    'a/b/c',
    '...',
    '..a',
    'a..',
    '-rf',
    ' ',
    'new\nline',
    '\u2028',
    'ü'.repeat(127),
    'x/C:',
    'C:',
    'c:/a',
    'C:report.pdf',
    'a:b.txt',
    'a\\b',
    '..\\a',
    '\\\\server\\share',
    'x'.repeat(255)
  ]) {
    // Some of them would end a line of the test's own output.
    t.equal(unsafePathReason(path, 'linux'), null, encodeURIComponent(path))
  }
  const unsafe = {
    'is empty': [''],
    'holds a NUL': ['a\0', 'a/b\0c'],
    'is absolute': ['/', '/etc/passwd', '//a'],
    'has an empty, "." or ".." part': ['.', '..', '../a', 'a/..', 'a/../b', 'a//b', 'a/', 'a/./b'],
    'has a name of over 255 bytes': ['x'.repeat(256), `a/${'ü'.repeat(128)}/b`]
  }
  for (const [reason, paths] of Object.entries(unsafe))
    for (const path of paths) t.equal(unsafePathReason(path), reason, JSON.stringify(path))
  for (const path of ['a\\b', '..\\a', 'C:', 'c:/a', 'a/b:stream'])
    t.equal(unsafePathReason(path, 'win32'), 'holds a backslash or a colon', JSON.stringify(path))
})
