/**
 * Where a restore keeps what it is about to put in place and what it has replaced: on the file system of the uploads,
 * so that renames can do it, under a name that is no organization's. Never part of a backup.
 */
export const stagingFolder = '.dumbassets-backup'
