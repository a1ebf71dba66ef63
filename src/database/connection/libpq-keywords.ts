/**
 * The libpq keywords that a DATABASE_URL may carry besides host, port, user, password and dbname, with the
 * environment variable that gives each to pg_dump and psql. Source: PostgreSQL manual, "34.15 Environment Variables".
 * client_encoding is left out on purpose: it would change the encoding of a dump.
 */
export const environmentByKeyword: Readonly<Record<string, string>> = {
  application_name: 'PGAPPNAME',
  channel_binding: 'PGCHANNELBINDING',
  connect_timeout: 'PGCONNECT_TIMEOUT',
  gssdelegation: 'PGGSSDELEGATION',
  gssencmode: 'PGGSSENCMODE',
  gsslib: 'PGGSSLIB',
  hostaddr: 'PGHOSTADDR',
  krbsrvname: 'PGKRBSRVNAME',
  load_balance_hosts: 'PGLOADBALANCEHOSTS',
  options: 'PGOPTIONS',
  require_auth: 'PGREQUIREAUTH',
  requirepeer: 'PGREQUIREPEER',
  ssl_max_protocol_version: 'PGSSLMAXPROTOCOLVERSION',
  ssl_min_protocol_version: 'PGSSLMINPROTOCOLVERSION',
  sslcert: 'PGSSLCERT',
  sslcertmode: 'PGSSLCERTMODE',
  sslcompression: 'PGSSLCOMPRESSION',
  sslcrl: 'PGSSLCRL',
  sslcrldir: 'PGSSLCRLDIR',
  sslkey: 'PGSSLKEY',
  sslmode: 'PGSSLMODE',
  sslnegotiation: 'PGSSLNEGOTIATION',
  sslrootcert: 'PGSSLROOTCERT',
  sslsni: 'PGSSLSNI',
  target_session_attrs: 'PGTARGETSESSIONATTRS'
}

/** Keywords that would let a file or a prompt decide where we connect, and why each is refused. */
export const unsupportedKeywords: Readonly<Record<string, string>> = {
  passfile: 'write the password into the URL',
  replication: 'leave it out',
  service: 'write host, port, user, password and database into the URL',
  servicefile: 'write host, port, user, password and database into the URL',
  sslpassword: 'use a key file without a passphrase'
}
