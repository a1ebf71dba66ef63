import { Type, type Static } from '@sinclair/typebox'

/** How many rows a table has, or an organization has in it. */
export const TableRows = Type.Object({ schema: Type.String(), name: Type.String(), rows: Type.Integer({ minimum: 0 }) })
export type TableRows = Static<typeof TableRows>
