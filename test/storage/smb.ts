import t from 'tap'
import { createSmbStorage } from '../../src/storage/smb.js'

t.test('the archive says where the files are and never the password', t => {
  const config = {
    kind: 'smb' as const,
    host: 'files.example.com',
    share: 'uploads',
    username: 'svc-backup',
    password: 'hunter2-secret',
    domain: 'EXAMPLE'
  }
  const info = createSmbStorage(config).describe('acme')
  t.equal(info?.name, 'SMB_BACKUP_INFO.txt')
  t.notMatch(JSON.stringify(info), 'hunter2')
  for (const told of ['files.example.com', 'uploads', '/acme', 'svc-backup', 'EXAMPLE']) t.match(info?.text, told)
  t.match(info?.warning, '//files.example.com/uploads/acme')
  t.end()
})

t.test('what is not configured is not mentioned', t => {
  const info = createSmbStorage({ host: 'h', share: 's', username: null, domain: null }).describe('acme')
  t.notMatch(info?.text, /null|User:|Domain:/)
  t.end()
})
