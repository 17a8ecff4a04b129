#!/usr/bin/env bash
# Compiles every binary of the workspace for release into FOLDER, without debug information: the same
# bytes from any folder and any home, for one commit and one toolchain.
#   release.sh FOLDER
set -euo pipefail
folder=$(realpath -m "${1:?the folder for the binaries is missing}")
cd "$(dirname "$0")/../.."
. infra/scripts/prelude.sh

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
cargo_home=$(realpath -m "${CARGO_HOME:-$HOME/.cargo}")

# Where this machine keeps things is said in no binary. Given here, the flags of .cargo/config.toml
# count no more: its own stands among them.
flags=(-C target-feature=+crt-static)
c_flags=()
while read -r from to; do
  flags+=(--remap-path-prefix "$from=$to")
  c_flags+=("-ffile-prefix-map=$from=$to")
done <<MAP
$PWD /src
$target /target
$cargo_home /cargo
MAP
CARGO_ENCODED_RUSTFLAGS=$(printf '%s\x1f' "${flags[@]}" | head -c -1)
export CARGO_ENCODED_RUSTFLAGS CFLAGS="${c_flags[*]} ${CFLAGS:-}"
# What was tested was compiled with these features.
mapfile -t binaries < <(cargo build --locked --workspace --bins --release \
  --message-format=json-render-diagnostics | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p')
[ ${#binaries[@]} -gt 0 ] || die "cargo has built no binary"
mkdir -p "$folder"
for binary in "${binaries[@]}"; do
  strip --strip-debug -o "$folder/${binary##*/}" "$binary"
done
say "${#binaries[@]} binaries in $folder"
