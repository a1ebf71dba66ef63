-- The service's user, which owns its database and is not a superuser. The image runs this once, when it makes the cluster.
\getenv password APP_PASSWORD
CREATE ROLE app LOGIN CREATEDB CREATEROLE PASSWORD :'password';
CREATE DATABASE app OWNER app;
