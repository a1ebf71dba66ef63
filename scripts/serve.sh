#!/bin/sh
# Starts what `npm run build` has made, so that the service stays below 200 MB.
# V8 collects its garbage early (--optimize-for-size --no-parallel-scavenge), but not before the heap has doubled
# (--heap-growing-percent): with 200 clients it would do little else. glibc hands blocks of 128 KiB and more back to the
# system as soon as they are free, which it stops doing by itself when it has seen a few (mallopt(3), M_MMAP_THRESHOLD),
# and keeps the rest in few places for many threads (M_ARENA_MAX).
# setup.sh puts a newer Node.js into node_modules where the machine's is too old.
root=$(cd "$(dirname "$0")/.." && pwd)
PATH=$root/node_modules/.bin:$PATH
export MALLOC_MMAP_THRESHOLD_=131072 MALLOC_ARENA_MAX=2
exec node --enable-source-maps --optimize-for-size --no-parallel-scavenge --heap-growing-percent=100 "$root/dist/src/server.js" "$@"
