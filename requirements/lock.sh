#!/bin/sh
# Rewrites the locks from the .in files, to the newest that fits: every package pinned with hashes, no index
# host named. Needs uv.
set -eu
cd "$(dirname "$0")"
for set in dev training opcua boards base; do
    constraint=""
    [ "$set" = dev ] || constraint="--constraint dev.lock"
    # shellcheck disable=SC2086
    uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
        --no-emit-index-url --no-emit-find-links --prerelease if-necessary-or-explicit \
        $constraint --output-file "$set.lock" "$set.in"
done
