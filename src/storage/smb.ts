import { requireOrganizationId } from '../io/safe-path.js'
import { createEntryList } from './entry-list.js'
import type { StorageStrategy } from './strategy.js'

export interface SmbShare {
  host: string
  share: string
  username: string | null
  domain: string | null
}

/** Uploads on an SMB share that is not mounted here: the archive says where they are, and people copy them. */
export function createSmbStorage({ host, share, username, domain }: SmbShare): StorageStrategy {
  return {
    kind: 'smb',
    capabilities: { transferable: false },
    async check() {},
    list: async () => ({ entries: createEntryList(), owners: null, warnings: [] }),
    folder: async () => null,
    open: async () => null,
    describe(organizationId) {
      const address = `//${host}/${share}/${requireOrganizationId(organizationId)}`
      return {
        name: 'SMB_BACKUP_INFO.txt',
        text: [
          'The uploaded files of this organization are on an SMB share and are not in this archive.',
          '',
          `Host:         ${host}`,
          `Share:        ${share}`,
          `Path:         /${organizationId}`,
          ...(domain === null ? [] : [`Domain:       ${domain}`]),
          ...(username === null ? [] : [`User:         ${username}`]),
          '',
          "To back them up:   copy the folder with the share's own backup, or:",
          `  smbclient //${host}/${share} --command='recurse; prompt; cd ${organizationId}; mget *'`,
          'To restore them:   copy that folder back to the same place.',
          ''
        ].join('\n'),
        warning: `The uploaded files are on the SMB share ${address} and are not in the archive: copy them with the share's own backup.`
      }
    }
  }
}
