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

# Downloads packages of Debian trixie into a folder, on Debian bookworm: for programs that need only
# libc, by a private apt configuration, from the mirror that this machine uses itself.
download_of_trixie() {
  local folder=$1 mirror
  shift
  # shellcheck disable=SC2016 # apt fills these in
  mirror=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Identifier: Packages' |
    sed -n 's/^bookworm //p' | head -n 1)
  [ -n "$mirror" ] || die "apt knows no mirror of Debian bookworm"
  mkdir -p "$folder/apt"/{parts,lists/partial,cache/archives/partial}
  echo "deb $mirror trixie main" >"$folder/apt/sources.list"
  local apt=(apt-get -q -o "Dir::Etc::SourceList=$folder/apt/sources.list"
    -o "Dir::Etc::SourceParts=$folder/apt/parts" -o "Dir::State::Lists=$folder/apt/lists"
    -o "Dir::Cache=$folder/apt/cache" -o APT::Sandbox::User=root)
  as_root "${apt[@]}" update >&2
  (cd "$folder" && as_root "${apt[@]}" download "$@" >&2)
}
