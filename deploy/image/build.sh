#!/bin/sh
# Makes the folder of the image from the sources in the current folder: `sh deploy/image/build.sh /opt/llamero`.
# The Dockerfile runs it, and so does `npm run image:try`, on a machine without Docker.
set -eu
target=$1

node scripts/build.ts
mkdir -p "$target"
# The sources are for plugin files and for the GPU agent: a plugin and the router must share one copy of Effect.
cp -R package.json package-lock.json LICENSE build examples scripts src "$target"
mkdir "$target/bin"
cp deploy/image/llamero deploy/image/llamero-gpu-agent deploy/image/health.js "$target/bin"
chmod 755 "$target/bin/llamero" "$target/bin/llamero-gpu-agent"

cd "$target"
npm ci --omit=dev --ignore-scripts --no-audit --no-fund

# What V8 has compiled is kept for each user, so the user of the image has to start the server once.
mkdir build/compiled
chown 65532:65532 build/compiled
LLAMERO_BACKENDS=http://127.0.0.1:1 LLAMERO_PORT=0 NODE_OPTIONS=--max-semi-space-size=16 \
  timeout --preserve-status --signal=TERM 5 setpriv --reuid=65532 --regid=65532 --clear-groups bin/llamero serve
# Now that nobody needs to write there, everything belongs to root.
chown -R 0:0 .
