#!/usr/bin/env bash
# Builds the image of each system that has an infra/<system>/Dockerfile, or of those named, and
# prints the id of each.
#   [PROFILE=dev|release] images.sh [SYSTEM…]
#   BINARIES=FOLDER images.sh [SYSTEM…]    of binaries that cargo has built there: compiles nothing
# The binaries are compiled outside, by the same toolchain and flags as the tests, so that what
# was tested is what the image holds. A Dockerfile finds beside it `bin/` with the binaries that it
# copies, without debug information, and `data/`, an empty folder: an image from scratch has no way
# to make one.
set -euo pipefail
cd "$(dirname "$0")/../.."
. infra/scripts/prelude.sh

profile=${PROFILE:-dev}

systems=("$@")
if [ ${#systems[@]} -eq 0 ]; then
  for dockerfile in infra/*/Dockerfile; do
    [ -e "$dockerfile" ] || die "no system has an infra/<system>/Dockerfile"
    systems+=("$(basename "$(dirname "$dockerfile")")")
  done
fi

# The paths of a system's binaries, one a line. For the whole workspace, so that dependencies have
# the features that they have everywhere.
binaries_of() {
  local names
  mapfile -t names < <(sed -n 's|^COPY bin/\([^ ]*\) .*|\1|p' "infra/$1/Dockerfile")
  [ ${#names[@]} -gt 0 ] || return 0
  if [ -n "${BINARIES:-}" ]; then
    printf '%s\n' "${names[@]/#/$BINARIES/}"
  else
    cargo build --workspace "${names[@]/#/--bin=}" --profile "$profile" \
      --message-format=json-render-diagnostics |
      sed -n 's/.*"executable":"\([^"]*\)".*/\1/p'
  fi
}

# Absent where the checkout has no history, as in an archive of it.
revision=$(git rev-parse HEAD 2>/dev/null || true)

for system in "${systems[@]}"; do
  [ -e "infra/$system/Dockerfile" ] || die "there is no infra/$system/Dockerfile"
  say "building $system (${BINARIES:-$profile})"
  binaries=$(binaries_of "$system")
  [ -n "$binaries" ] || die "infra/$system/Dockerfile copies no binary"
  version=$(cargo pkgid --package "$system")

  context=$(mktemp -d)
  # shellcheck disable=SC2064 # the folder of now, not of later
  trap "rm -rf '$context'" EXIT
  mkdir "$context/bin" "$context/data"
  xargs -d '\n' cp --target-directory "$context/bin" <<<"$binaries"
  strip --strip-debug "$context"/bin/*
  docker build --quiet --tag "trivet/$system:dev" \
    --label "org.opencontainers.image.version=${version##*[#@]}" \
    ${revision:+--label "org.opencontainers.image.revision=$revision"} \
    --file "infra/$system/Dockerfile" "$context"
  rm -rf "$context"
  say "trivet/$system:dev, $(docker image inspect --format '{{.Size}}' "trivet/$system:dev" |
    numfmt --to=iec --suffix=B)"
done
