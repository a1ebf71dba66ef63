import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { AppError, systemCode, type ErrorCode } from '../errors.js'
import { fileError, type KnownFolder } from './durable.js'
import { serviceUser, systemErrors } from './system-errors.js'

/**
 * Looks whether the folder of a variable exists, is a folder, and can be read and written.
 * @throws AppError `code`, which names the variable and has the path in its cause alone
 */
export async function requireFolder(known: KnownFolder, code: ErrorCode): Promise<void> {
  const { name, folder } = known
  try {
    // The slash tells a file in its place from a folder that may not be entered.
    await access(`${folder}/`, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') {
      throw new AppError(code, 'folder-missing', `The folder ${name} is not there.`, {
        remedy: `Make the folder, or mount it, and let ${serviceUser} read and write there. If the path is wrong, correct ${name}.`,
        cause: error
      })
    }
    if (systemCode(error) === 'ENOTDIR') throw await notAFolder(known, code, error)
    throw fileError(error, code, `Using ${name}`, known)
  }
}

/** Translates the error of mkdir(2): why the folder of a variable can't be made. A full disk is DISK_FULL. */
export async function folderNotMade(error: unknown, known: KnownFolder, code: ErrorCode): Promise<unknown> {
  const { name } = known
  const system = systemCode(error) ?? ''
  const remedy = `Make the folder and let ${serviceUser} read and write there. If the path is wrong, correct ${name}.`
  if (system === 'ENOENT')
    return new AppError(code, 'parent-folder-missing', `The folder that ${name} is to be made in is not there.`, {
      remedy: `Make that folder, or mount it. If the path is wrong, correct ${name}.`,
      cause: error
    })
  if (system === 'ENOTDIR' || system === 'EEXIST') return await notAFolder(known, code, error)
  if (['EACCES', 'EPERM', 'EROFS'].includes(system))
    return new AppError(
      code,
      'folder-not-made',
      `${name} can't be made (${system}): ${systemErrors[system]?.reason}.`,
      { remedy, cause: error }
    )
  return fileError(error, code, `Making ${name}`, known)
}

async function notAFolder({ name, folder }: KnownFolder, code: ErrorCode, cause: unknown): Promise<AppError> {
  const isThere = await stat(folder).then(
    () => true,
    () => false
  )
  return new AppError(
    code,
    'folder-is-a-file',
    isThere ? `${name} is a file, not a folder.` : `The path of ${name} leads through a file.`,
    {
      remedy: `Move the file away, or set ${name} to a folder.`,
      cause
    }
  )
}
