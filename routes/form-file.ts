import type { IncomingHttpHeaders } from 'node:http'
import { finished, PassThrough, pipeline, type Readable } from 'node:stream'
import { Busboy, type BusboyInstance } from '@fastify/busboy'
import { AppError } from '../src/errors.js'

/**
 * The one file of a form that a browser sends (multipart/form-data, RFC 7578), as it comes. It ends well only when the
 * form does, and only when there is nothing else in it. The body itself is not destroyed, so that its sender can be
 * answered.
 * @throws AppError BAD_REQUEST for a body that is no whole form, VALIDATION_FAILED for another form
 */
export async function fileOfForm(headers: IncomingHttpHeaders, body: Readable, name: string): Promise<Readable> {
  const form = openForm(headers)
  const file = new Promise<Readable>((resolve, reject) => {
    const ended = endOf(form, body)
    form.on('file', (field, stream) => {
      if (field === name) resolve(endingWith(stream, ended))
      else reject(notExpected(field, `unexpected property: expected is ${name}, a file`))
    })
    form.on('filesLimit', () => {
      form.emit('error', notExpected(name, 'expected one file'))
    })
    form.on('field', field => {
      form.emit(
        'error',
        notExpected(
          field,
          field === name ? 'expected a file, not text' : `unexpected property: expected is ${name}, a file`
        )
      )
    })
    ended.then(() => {
      reject(notExpected(name, 'expected a file'))
    }, reject)
  })
  body.pipe(form)
  return await file
}

function openForm(headers: IncomingHttpHeaders): BusboyInstance {
  try {
    return new Busboy({
      headers: { ...headers, 'content-type': headers['content-type'] ?? '' },
      limits: { files: 1, fields: 1, fieldSize: 1024, parts: 3, headerPairs: 20, headerSize: 16 << 10 },
      fileHwm: 1 << 18
    })
  } catch (error) {
    throw new AppError('BAD_REQUEST', 'form-boundary', 'The content type of the form names no boundary.', {
      cause: error
    })
  }
}

async function endOf(form: BusboyInstance, body: Readable): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const broken = (cause: unknown): void => {
      reject(
        cause instanceof AppError
          ? cause
          : new AppError('BAD_REQUEST', 'form-truncated', 'The form is not whole.', {
              remedy: 'Upload the archive again.',
              cause
            })
      )
    }
    form.on('error', broken)
    form.on('finish', resolve)
    finished(body, { writable: false }, error => {
      if (error !== null && error !== undefined) broken(error)
    })
  })
}

/** The file, whose end is held back until the form has ended, and which fails with it. */
function endingWith(file: Readable, ended: Promise<void>): Readable {
  const whole = new PassThrough({
    flush: done => {
      ended.then(() => {
        done()
      }, done)
    }
  })
  ended.catch((error: Error) => {
    whole.destroy(error)
  })
  // The error of the file is the form's.
  pipeline(file, whole, () => {})
  return whole
}

function notExpected(field: string | undefined, message: string): AppError {
  const shown = JSON.stringify((field ?? '').slice(0, 100)).slice(1, -1)
  return new AppError('VALIDATION_FAILED', 'form-field', 'The request is not valid.', {
    errors: [{ field: `body.${shown}`, reason: 'field-invalid', message }]
  })
}
