#!/bin/sh
# demo.sh       a cluster that is broken twice and heals itself; it is left running
# demo.sh down  ends it, nothing is left behind
set -eu
cd "$(dirname -- "$0")/../.."
exec python3 deploy/demo/demo.py "$@"
