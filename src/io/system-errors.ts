interface Meaning {
  /** Said of a file or folder, whose name follows where it is known. */
  reason: string
  remedy: string
}

/** Whose rights count, in the middle of a sentence. */
export const serviceUser =
  process.geteuid === undefined ? "the service's user" : `the service's user (${process.geteuid()})`
const share: Meaning = {
  reason: 'the network share does not answer',
  remedy: 'Bring the network share back, mount it again if need be, then try again.'
}
const gone: Meaning = {
  reason: 'the device is gone',
  remedy: 'Attach the disk again and mount it, then try again.'
}
const damaged: Meaning = {
  reason: 'the file system is damaged',
  remedy: 'Unmount the file system, repair it with fsck, then try again.'
}

/** What the file system's errors mean to a person (errno(3)); ENOSPC and EDQUOT have a code of their own, DISK_FULL. */
export const systemErrors: Readonly<Record<string, Meaning>> = {
  EACCES: {
    reason: 'permission denied',
    remedy: `Let ${serviceUser} read and write it, and enter the folders above it, then try again.`
  },
  EPERM: {
    reason: 'not permitted',
    remedy: `Look at its owner and flags (lsattr), and at the rights of ${serviceUser}; allow the change, then try again.`
  },
  EROFS: { reason: 'the file system is read-only', remedy: 'Mount the file system writable, then try again.' },
  EIO: {
    reason: 'the disk or network share reports a read or write error',
    remedy:
      "Look at the system's log (dmesg) for the disk's error. Replace a failing disk; remove a file that can't be read any more, or put an older copy in its place."
  },
  EUCLEAN: damaged,
  EBADMSG: damaged,
  ESTALE: {
    reason: 'the network share does not know the file any more',
    remedy: 'Mount the network share again, then try again.'
  },
  ETIMEDOUT: share,
  EHOSTDOWN: share,
  EHOSTUNREACH: share,
  ENETUNREACH: share,
  ENOTCONN: share,
  ECONNRESET: share,
  ECONNABORTED: share,
  ENXIO: gone,
  ENODEV: gone,
  ENOENT: {
    reason: 'it is not there',
    remedy: 'If another program has moved or removed it, try again when that program is done; else put it back.'
  },
  ENOTDIR: { reason: 'a part of its path is not a folder', remedy: 'Put a folder in that place, then try again.' },
  EISDIR: { reason: 'a folder is in the place of a file', remedy: 'Move the folder away, then try again.' },
  EEXIST: { reason: 'something of this name exists', remedy: 'Move it away, then try again.' },
  ENOTEMPTY: { reason: 'the folder is not empty', remedy: 'Stop the program that writes there, then try again.' },
  ENAMETOOLONG: {
    reason: 'the name or path is too long for the file system',
    remedy: 'Give the file or its folders shorter names, then try again.'
  },
  EILSEQ: {
    reason: 'the file system does not take such a name',
    remedy: 'Give the file another name, then try again.'
  },
  EINVAL: {
    reason: 'the file system does not take such a name or call',
    remedy: 'Give the file a name without special characters, or use a Linux file system, then try again.'
  },
  ELOOP: {
    reason: 'a link is in its place, or leads round in a circle',
    remedy: 'Put a real file or folder in the place of the link, then try again.'
  },
  EMFILE: {
    reason: 'the service has too many files open',
    remedy: "Raise the service's limit of open files (ulimit -n, LimitNOFILE=), then restart it."
  },
  ENFILE: {
    reason: 'the system has too many files open',
    remedy: "Raise the system's limit of open files (sysctl fs.file-max), then try again."
  },
  ENOMEM: { reason: 'the system has no memory left', remedy: 'Free memory, then try again.' },
  EBUSY: {
    reason: 'it is in use, or something is mounted there',
    remedy: 'Unmount it or stop the program that uses it, then try again.'
  },
  ETXTBSY: { reason: 'a running program uses it', remedy: 'Stop that program, then try again.' },
  EXDEV: {
    reason: 'it is on another file system',
    remedy: "Unmount it, or mount the organization's folder as a whole, then try again."
  },
  EFBIG: {
    reason: 'the file is larger than the file system allows',
    remedy: 'Use a file system that takes larger files, then try again.'
  },
  EMLINK: {
    reason: 'the folder has as many folders as the file system takes',
    remedy: 'Spread them over more folders, then try again.'
  }
}
