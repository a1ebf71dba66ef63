#!/bin/sh
# Looks at the code before the tests run it: lint and types side by side, each of which reads all of it.
npm run --silent lint &
lint=$!
npm run --silent typecheck
types=$?
wait "$lint" && exit "$types"
