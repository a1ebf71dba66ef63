/** A system user may have such a name, in quotes. */
const vague = /(?<!')\b(nobody|somebody|whoever|anybody|everybody|someone|anyone)\b(?!')/gi

/**
 * Keeps subjects that say nothing out of messages, logs and comments: a reader asks which role, session or program it
 * is.
 */
export const noVagueSubject = {
  meta: {
    type: 'suggestion',
    messages: { vague: 'Name the user, role, session or program in place of "{{word}}", or leave it out.' }
  },
  create({ report, sourceCode }) {
    return {
      Program() {
        for (const { 0: word, index } of sourceCode.getText().matchAll(vague)) {
          const [start, end] = [index, index + word.length].map(at => sourceCode.getLocFromIndex(at))
          report({ loc: { start, end }, messageId: 'vague', data: { word } })
        }
      }
    }
  }
}
