#!/usr/bin/env bash
# Builds the image that stands in for others in tests, where no registry is asked: Debian with nginx,
# Redis, PostgreSQL, Prometheus, Alertmanager and a Docker engine in it. Prints the image's name.
# It is built once; a changed list of packages builds it anew.
set -euo pipefail
cd "$(dirname "$0")/../.."
. infra/scripts/prelude.sh

packages=ca-certificates,nginx-light,redis-server,postgresql,prometheus,prometheus-alertmanager,docker.io,iptables
image=trivet-standin:$(sha256sum <<<"$packages" | head -c 12)
if ! docker image inspect "$image" >/dev/null 2>&1; then
  command -v mmdebstrap >/dev/null || {
    say "installing mmdebstrap: it makes the image that stands in for others"
    apt_install mmdebstrap
  }
  # shellcheck disable=SC2016 # apt fills it in
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Codename: bookworm' | head -n 1)
  [ -n "$mirror" ] || die "apt knows no mirror of Debian bookworm"
  say "building $image of $packages (about a minute)"
  archive=$(mktemp --suffix .tar)
  trap 'rm -f "$archive"' EXIT
  # shellcheck disable=SC2016 # mmdebstrap fills it in
  as_root mmdebstrap --quiet --variant=minbase --mode=root --include="$packages" \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin "$1"/boot' \
    bookworm "$archive" "$mirror" >&2
  docker import --change 'CMD ["/bin/bash"]' "$archive" "$image" >/dev/null
fi
echo "$image"
