/** The part that is used; the package has no types. */
declare module 'fs-native-extensions' {
  /** Locks the whole file, exclusively. @returns false when it is locked elsewhere */
  export function tryLock(fd: number): boolean
}
