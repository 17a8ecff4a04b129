# shellcheck shell=bash
# What the scripts share: how they speak, and how they become root. Sourced, never run.

# All of it goes to stderr, so that the output of a command stays the command's own.
say() { echo "${0##*/}: $*" >&2; }

die() {
  say "$*"
  exit 1
}

# Runs a command as root, directly or through sudo.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "root is needed, and sudo is missing, for: $*"
  fi
}

# Installs packages of Debian or Ubuntu; anything on stdin is none of its business.
apt_install() {
  command -v apt-get >/dev/null ||
    die "this is neither Debian nor Ubuntu: install what these packages hold, then try again: $*"
  as_root apt-get -qq -o DPkg::Lock::Timeout=300 update </dev/null >&2
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
    -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
    install --no-install-recommends "$@" </dev/null >&2
}
