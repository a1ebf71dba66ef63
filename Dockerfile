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
# Only PostgreSQL's programs are wanted: without the first line Debian would make a database cluster in the image.
RUN mkdir -p /etc/postgresql-common/createcluster.d \
 && echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.d/none.conf \
 && apt-get update \
 && apt-get install -y --no-install-recommends postgresql-17 postgresql-client-17 isal \
 && rm -rf /var/lib/apt/lists/* \
 && mkdir -p /data/uploads && chown -R node:node /data
WORKDIR /app
COPY package.json ./
COPY --from=packages /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY scripts/serve.sh ./scripts/serve.sh

ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    PORT=3000 \
    UPLOAD_DIR=/data/uploads \
    BACKUP_DIR=/data/backups \
    EMBEDDED_DB_DIR=/data/postgres
USER node
VOLUME /data
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/health/ready`).then(answer => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# No tini: the script becomes node (exec), which is process 1 then, handles SIGTERM and SIGINT, and reaps the programs
# that it starts. PostgreSQL needs time for its shutdown checkpoint: stop with a grace period of 60 seconds or so.
STOPSIGNAL SIGTERM
CMD ["sh", "scripts/serve.sh"]
