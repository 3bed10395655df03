#!/bin/sh
# Brings node_modules in line with the lockfile, with whatever Node 20+ and npm there are. After it, npm scripts run Node 24 from the npm package `node`.
set -eu
cd "$(dirname "$0")/.."
stamp=node_modules/.lockfile-installed
if ! cmp -s package-lock.json "$stamp" 2>/dev/null; then
  echo "setup: installing npm packages (about a minute the first time)" >&2
  npm ci --no-audit --no-fund --loglevel=error >&2
fi
# npm may be told not to run install scripts; the package `node` needs its own.
if ! node_modules/.bin/node --version >/dev/null 2>&1; then
  npm rebuild node --ignore-scripts=false --loglevel=error >&2
  node_modules/.bin/node --version >/dev/null || { echo "setup: the npm package node did not install its program; try: npm rebuild node --ignore-scripts=false" >&2; exit 1; }
fi
cp package-lock.json "$stamp"
