#!/usr/bin/env bash
# Runs the integration tests in modules of this name; fails when there are none, because a run
# of nothing would read as a pass.
#   named-tests.sh MODULE [ARGUMENT OF THE TEST BINARIES…]
set -euo pipefail
cd "$(dirname "$0")/../.."
. infra/scripts/prelude.sh

module=$1
shift
count=$(cargo test --workspace --test it -- --list "$module::" | grep -c ': test$' || true)
[ "$count" -gt 0 ] || die "there is no test in a module called $module"
exec infra/scripts/step.sh "$count tests in $module" \
  cargo test --workspace --no-fail-fast --test it -- "$module::" "$@"
