/** Types of the postgres driver whose values are called: as a tag with a query, else with a name or rows. */
const drivers = new Set(['Sql', 'ReservedSql', 'TransactionSql', 'ISql'])

/**
 * Keeps every way to write an SQL identifier out but src/database/identifiers.ts. `sql(name)` of postgres.js takes a
 * dot in a name for the end of a schema's, also in the columns of `sql(rows)`.
 */
export const noIdentifierHelper = {
  meta: {
    type: 'problem',
    messages: {
      helper:
        'postgres.js splits a name at its dots: write it with quoteIdentifier, quoteTable or quoteColumns, and hand the statement to unsafe().',
      quotes: 'A name may hold a quote: write it with quoteIdentifier.'
    }
  },
  create(context) {
    const { getTypeAtLocation } = context.sourceCode.parserServices
    return {
      CallExpression({ callee }) {
        if (drivers.has(getTypeAtLocation(callee).symbol?.name)) context.report({ node: callee, messageId: 'helper' })
      },
      'CallExpression[callee.property.name="unsafe"] TemplateElement[tail=false][value.raw=/"$/]'(node) {
        context.report({ node, messageId: 'quotes' })
      }
    }
  }
}
