#!/usr/bin/env bash
# Runs the tests in modules of this name; fails when there are none, because a run
# of nothing would read as a pass.
#   named-tests.sh MODULE [ARGUMENT OF THE TEST BINARIES…]
set -euo pipefail
cd "$(dirname "$0")/../.."
. infra/scripts/prelude.sh

module=$1
shift
# Not `--test it`: only a run of everything builds the examples, which tests start.
count=$(cargo test --workspace -- --list "$module::" | grep -c ': test$' || true)
[ "$count" -gt 0 ] || die "there is no test in a module called $module"
exec infra/scripts/step.sh "$count tests in $module" \
  cargo test --workspace --no-fail-fast -- "$module::" "$@"
