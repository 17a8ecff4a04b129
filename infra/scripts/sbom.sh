#!/usr/bin/env bash
# Writes what a binary is made of, as CycloneDX in JSON: target/sbom/NAME.cdx.json. Every crate that is
# compiled into it, with version, licence and checksum; nothing else is in the image.
#   sbom.sh NAME     the name of a package whose binary is called the same
set -euo pipefail
cd "$(dirname "$0")/../.."
. infra/scripts/prelude.sh

name=${1:?the name of the package is missing}
tools=${TOOLS:-${CARGO_TARGET_DIR:-$PWD/target}/tools}
folder=${CARGO_TARGET_DIR:-$PWD/target}/sbom
TOOLS=$tools infra/scripts/setup.sh cargo-cyclonedx
export SOURCE_DATE_EPOCH
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || echo 0)
# It writes beside the manifest of each member of the workspace and knows no other place.
trap 'find services tests -name "*.trivet-sbom.json" -delete' EXIT
manifest=$(cargo metadata --no-deps --format-version 1 --locked |
  sed 's/"manifest_path":/\n&/g' | sed -n "s|^\"manifest_path\":\"\([^\"]*/$name/Cargo.toml\)\".*|\1|p" | head -n 1)
[ -n "$manifest" ] || die "no package of the workspace is called $name"
"$tools/bin/cargo-cyclonedx" cyclonedx --quiet --manifest-path "$manifest" --format json \
  --spec-version 1.5 --override-filename "$name.trivet-sbom"
mkdir -p "$folder"
# Where this checkout lies is nobody's business.
sed "s|$PWD|/src|g" "$(dirname "$manifest")/$name.trivet-sbom.json" >"$folder/$name.cdx.json"
say "$folder/$name.cdx.json"
