/**
 * How to reach one database, in libpq's terms: what both the postgres driver and the PostgreSQL tools are given.
 * The password is in here, so a Connection is never logged.
 */
export interface Connection {
  /** Host name, address, or an absolute path of a socket folder. */
  host: string
  port: number
  user: string
  password: string | null
  database: string
  /** Further libpq parameters by keyword (sslmode, sslrootcert, …); never user, password, host, port or dbname. */
  parameters: Readonly<Record<string, string>>
}
