#!/usr/bin/env bash
# Builds the image of each target of infra/Dockerfile, or of those named, writes beside it what it is
# made of (SBOM, CycloneDX), and prints the id of each.
#   [PROFILE=dev|release] [TAG=dev] images.sh [IMAGE…]
#   BINARIES=FOLDER images.sh [IMAGE…]    of binaries that cargo has built there: compiles nothing
#   SBOM=no                               leaves out the SBOM
# The binaries are compiled outside, by the same toolchain and flags as the tests, so that what
# was tested is what the image holds.
set -euo pipefail
cd "$(dirname "$0")/../.."
. infra/scripts/prelude.sh

dockerfile=infra/Dockerfile
profile=${PROFILE:-dev}
tag=${TAG:-dev}

mapfile -t known < <(sed -n 's/^FROM scratch AS \(.*\)/\1/p' "$dockerfile" | grep -vx 'compiled\|given')
images=("$@")
[ ${#images[@]} -gt 0 ] || images=("${known[@]}")
for image in "${images[@]}"; do
  printf '%s\n' "${known[@]}" | grep -qx -- "$image" ||
    die "$dockerfile has no target $image; there are: ${known[*]}"
done

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
mkdir "$context/bin" "$context/data"

# For the whole workspace, so that dependencies have the features that they have everywhere.
if [ -n "${BINARIES:-}" ]; then
  for image in "${images[@]}"; do
    strip --strip-debug -o "$context/bin/$image" "$BINARIES/$image"
  done
elif [ "$profile" = release ]; then
  infra/scripts/release.sh "$context/bin"
else
  mapfile -t binaries < <(cargo build --locked --workspace --bins --profile "$profile" \
    --message-format=json-render-diagnostics | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p')
  [ ${#binaries[@]} -gt 0 ] || die "cargo has built no binary"
  cp --target-directory "$context/bin" "${binaries[@]}"
  strip --strip-debug "$context"/bin/*
fi

# Absent where the checkout has no history, as in an archive of it.
revision=$(git rev-parse HEAD 2>/dev/null || true)
created=$(git log -1 --format=%cI 2>/dev/null || true)

for image in "${images[@]}"; do
  say "building $image (${BINARIES:-$profile})"
  version=$(cargo pkgid --package "$image")
  DOCKER_BUILDKIT=1 docker build --quiet --target "$image" --tag "trivet/$image:$tag" \
    --build-arg BINARIES=given \
    --label "org.opencontainers.image.version=${version##*[#@]}" \
    ${revision:+--label "org.opencontainers.image.revision=$revision"} \
    ${created:+--label "org.opencontainers.image.created=$created"} \
    --file "$dockerfile" "$context"
  say "trivet/$image:$tag, $(docker image inspect --format '{{.Size}}' "trivet/$image:$tag" |
    numfmt --to=iec --suffix=B)"
  [ "${SBOM:-yes}" = no ] || infra/scripts/sbom.sh "$image"
done
