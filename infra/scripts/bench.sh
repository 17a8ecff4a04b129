#!/usr/bin/env bash
# Measures the consensus core beside etcd and as it grows, and provchain; docs/benchmarks.md says
# how, and gets the tables. Builds for release first. Settings, from the environment, with their defaults:
#   BENCH_ONLY=            consensus, growth or provchain; all when empty
#   BENCH_SECONDS=4        of each measurement of the consensus core
#   BENCH_ROUNDS=5         over all of these measurements
#   BENCH_KILLS=20         leaders of each store
#   BENCH_KEYS=100000      written and read
#   BENCH_THREADS=1        of each node of our store
#   BENCH_DATABASE_MIB=5120  of values, when growth is measured
#   BENCH_EVENTS=200000    captured by provchain
#   BENCH_PROFILE=release  dev tries the benchmark itself: its figures mean nothing
set -euo pipefail
cd "$(dirname "$0")/../.."
. infra/scripts/prelude.sh

[ -n "${BENCH_ONLY:-}" ] || unset BENCH_ONLY
profile=${BENCH_PROFILE:-release}
target=${CARGO_TARGET_DIR:-target}

# Unpacked, not installed: Debian's package would start an etcd of its own on this machine.
fetch_etcd() {
  local folder=${TOOLS:-$PWD/target/tools}/etcd
  if [ ! -x "$folder/usr/bin/etcd" ]; then
    say "fetching Debian's etcd-server, to be measured beside, into $folder"
    as_root apt-get -qq -o DPkg::Lock::Timeout=300 update </dev/null >&2
    rm -rf "$folder"
    mkdir -p "$folder"
    (cd "$folder" && apt-get -q download etcd-server >&2 && dpkg-deb -x etcd-server_*.deb .)
  fi
  echo "$folder/usr/bin/etcd"
}

etcd=$(command -v etcd || fetch_etcd)

say "building the benchmark and what it measures ($profile)"
# In one go, so that dependencies are compiled once.
messages=$(cargo build --locked --profile "$profile" \
  --package tests --package consensus --package provchain \
  --bench speed --example bench_node --bin provchain \
  --message-format=json-render-diagnostics)
executable() {
  local path
  path=$(sed -n "s/.*\"target\":{[^}]*\"name\":\"$1\".*\"executable\":\"\([^\"]*\)\".*/\1/p" \
    <<<"$messages" | tail -n 1)
  [ -x "$path" ] || die "cargo built no $1"
  echo "$path"
}
driver=$(executable speed)
node=$(executable bench_node)
provchain=$(executable provchain)

mkdir -p "$target/bench"
"$driver" --node "$node" --etcd "$etcd" --provchain "$provchain" --out "$(realpath "$target/bench")"
