import t from 'tap'
import { nearestName } from '../src/nearest.js'

const known = [
  'BACKUP_DIR',
  'DATABASE_URL',
  'EMBEDDED_DB_DIR',
  'HOST',
  'JWT_SECRET',
  'JWT_SECRET_FILE',
  'LOG_LEVEL',
  'PORT',
  'SMB_USERNAME',
  'UPLOAD_DIR'
]

t.test('finds the name that a slip has changed', async t => {
  for (const [given, meant] of [
    ['BACKUP_DIRR', 'BACKUP_DIR'],
    ['BAKCUP_DIR', 'BACKUP_DIR'],
    ['BACKUPDIR', 'BACKUP_DIR'],
    ['backup_dir', 'BACKUP_DIR'],
    ['BACKUP_DIRECTORY', 'BACKUP_DIR'],
    ['DATABASE_URI', 'DATABASE_URL'],
    ['JWT_SECRTE', 'JWT_SECRET'],
    ['JWT_SECRET_FIEL', 'JWT_SECRET_FILE'],
    ['LOGLEVEL', 'LOG_LEVEL'],
    ['PROT', 'PORT'],
    ['SMB_USER', 'SMB_USERNAME'],
    ['UPLOADS_DIR', 'UPLOAD_DIR']
  ] as const)
    t.equal(nearestName(given, known), meant, given)
})

t.test('leaves other names alone', async t => {
  for (const given of [
    'PATH',
    'HOSTNAME',
    'HOME',
    'PWD',
    'USER',
    'LOGNAME',
    'SHELL',
    'DATABASE_URL_REPLICA',
    'JWT_SECRET_EXPIRES',
    'REDIS_URL',
    'SMTP_HOST',
    'TMPDIR',
    'S',
    ''
  ]) {
    t.equal(nearestName(given, known), null, given)
  }
})
