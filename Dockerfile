# The versions that go together: trixie packages PostgreSQL 17 (server and client), node:24 is the current LTS.
FROM node:24-trixie-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
RUN npm run build

FROM node:24-trixie-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev && npm cache clean --force

FROM node:24-trixie-slim
# server: with a PostgreSQL of its own; client: for an external one (DATABASE_URL) alone.
ARG POSTGRES=server
# Only PostgreSQL's programs are wanted: without the first line Debian would make a database cluster in the image.
# Of the server, what compiles queries (LLVM, 180 MB) goes again: pg_jit_available() is false then, and queries run without.
RUN mkdir -p /etc/postgresql-common/createcluster.d \
 && echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.d/none.conf \
 && apt-get update \
 && case "$POSTGRES" in \
      server) apt-get install -y --no-install-recommends postgresql-17 isal \
        && rm -rf /usr/lib/postgresql/17/lib/llvmjit* /usr/lib/postgresql/17/lib/bitcode \
        && dpkg --purge --force-depends $(dpkg-query -W -f '${Package}\n' 'libllvm*' 'libz3*') ;; \
      client) apt-get install -y --no-install-recommends postgresql-client-17 isal ;; \
      *) echo 'POSTGRES must be server or client' >&2; exit 1 ;; \
    esac \
 && rm -rf /var/lib/apt/lists/* \
 && mkdir -p /data/uploads && chown -R node:node /data
WORKDIR /app
COPY package.json ./
COPY --from=packages /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY scripts/serve.sh ./scripts/serve.sh
COPY docker/healthcheck.sh ./docker/healthcheck.sh

ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    PORT=3000 \
    UPLOAD_DIR=/data/uploads \
    BACKUP_DIR=/data/backups \
    EMBEDDED_DB_DIR=/data/postgres
USER node
VOLUME /data
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["bash", "docker/healthcheck.sh"]
# No tini: the script becomes node (exec), which is process 1 then, handles SIGTERM and SIGINT, and reaps the programs
# that it starts. PostgreSQL needs time for its shutdown checkpoint: stop with a grace period of 60 seconds or so.
STOPSIGNAL SIGTERM
CMD ["sh", "scripts/serve.sh"]
