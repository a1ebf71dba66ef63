/** Bytes that are left free on every disk: a full one hurts the application and PostgreSQL too. */
export const reserveBytes = 64 << 20
