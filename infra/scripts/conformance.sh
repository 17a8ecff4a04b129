#!/usr/bin/env bash
# Runs the published suites from checkouts whose folders the environment names:
#   RDF_CANON_SUITE  w3c/rdf-canon           RDFC-1.0
#   GS1_EPCIS_SUITE  gs1/EPCIS               EPCIS 2.0 examples
#   MERKLE_SUITE     transparency-dev/merkle RFC 6962 proofs
#   EVENT_HASH_SUITE RalphTro/epcis-event-hash-generator  CBV 2.0 event hash ids
# A suite without a folder is named as NOT RUN, and a run without any is a failure.
set -euo pipefail
cd "$(dirname "$0")/../.."
. infra/scripts/prelude.sh

found=0
for suite in RDF_CANON_SUITE GS1_EPCIS_SUITE MERKLE_SUITE EVENT_HASH_SUITE; do
  folder=${!suite:-}
  if [ -z "$folder" ]; then
    say "NOT RUN: $suite is not set"
  elif [ -d "$folder" ]; then
    # Tests run in the folder of their crate.
    export "$suite=$(cd "$folder" && pwd)"
    found=$((found + 1))
  else
    die "$suite: there is no folder $folder"
  fi
done
[ "$found" -gt 0 ] || die "set at least one of them to a checkout"

# The modules that read a suite have it in their names. Of the whole workspace, as `make test`
# builds it: a crate by itself has other features, and would be compiled anew with all below it.
count=$(cargo test --workspace --test it -- --list suite:: | grep -c ': test$' || true)
[ "$count" -gt 0 ] || die "there is no test in a module of a suite"
exec infra/scripts/step.sh "conformance, $found of 4 suites" \
  cargo test --workspace --test it -- --nocapture suite::
