#!/usr/bin/env bash
# Installs what this repository needs and this machine lacks; says what and why; silent when
# nothing is missing. For Debian and Ubuntu, as root or with sudo.
#   setup.sh             a C compiler, curl, git, Rust
#   setup.sh shellcheck  what checks the scripts
#   setup.sh strace      what records the writes of a process, for the tests of power cuts
#   setup.sh chromium    a browser without a window, for the tests of the pages
#   setup.sh redis       a Redis for the tests of the cache, and no service of it
#   setup.sh prometheus  Prometheus and Alertmanager with their tools, unpacked into $TOOLS, and no
#                        service of them
#   setup.sh nginx       an nginx for the front door, and no service of it
#   setup.sh postgresql  a PostgreSQL for its history, and no service of it
#   setup.sh cargo-deny  what checks the dependencies, compiled into $TOOLS
#   setup.sh cargo-cyclonedx  what lists the dependencies of a binary, compiled into $TOOLS
set -euo pipefail
cd "$(dirname "$0")/../.."
. infra/scripts/prelude.sh
PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"

# The pinned installer of rustup and its SHA-256, from Rust's own distribution server.
rustup_version=1.29.0
rustup_server=https://static.rust-lang.org/rustup/archive
declare -A rustup_sha256=(
  [x86_64]=4acc9acc76d5079515b46346a485974457b5a79893cfb01112423c89aeb5aa10
  [aarch64]=9732d6c5e2a098d3521fca8145d826ae0aaa067ef2385ead08e6feac88fa5792
)

cargo_deny_version=0.20.2
cargo_cyclonedx_version=0.5.9

install_packages() {
  local missing=()
  command -v cc >/dev/null || missing+=(build-essential)
  command -v curl >/dev/null || missing+=(curl)
  command -v git >/dev/null || missing+=(git)
  command -v pkg-config >/dev/null || missing+=(pkg-config)
  [ -e /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
  [ ${#missing[@]} -eq 0 ] && return
  say "installing ${missing[*]}: a C compiler for SQLite and ring, curl for Rust, certificates for both"
  apt_install "${missing[@]}"
}

install_rust() {
  local channel
  channel=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
  if command -v rustup >/dev/null; then
    has_toolchain "$channel" && return
  elif [ "$(rustc --version 2>/dev/null | cut -d' ' -f2)" = "$channel" ] &&
    cargo clippy --version >/dev/null 2>&1 && cargo fmt --version >/dev/null 2>&1; then
    return
  else
    install_rustup
  fi
  say "installing Rust $channel with clippy and rustfmt, as rust-toolchain.toml asks"
  rustup toolchain install "$channel" --no-self-update \
    --profile minimal --component clippy --component rustfmt >&2
}

has_toolchain() {
  local components
  components=$(rustup component list --installed --toolchain "$1" 2>/dev/null) || return 1
  grep -q '^clippy' <<<"$components" && grep -q '^rustfmt' <<<"$components"
}

install_rustup() {
  local machine folder
  machine=$(uname -m)
  [ -n "${rustup_sha256[$machine]:-}" ] ||
    die "no pinned rustup for $machine: install rustup yourself, then try again"
  say "installing rustup $rustup_version into ${CARGO_HOME:-$HOME/.cargo}; no file of your shell is changed"
  folder=$(mktemp -d)
  # shellcheck disable=SC2064 # the folder of now, not of later
  trap "rm -rf '$folder'" EXIT
  curl --proto '=https' --tlsv1.2 --fail --silent --show-error --location --retry 3 \
    --output "$folder/rustup-init" \
    "$rustup_server/$rustup_version/$machine-unknown-linux-gnu/rustup-init"
  sha256sum --check --quiet <<<"${rustup_sha256[$machine]}  $folder/rustup-init" ||
    die "rustup-init is not the pinned one: refusing to run it"
  chmod +x "$folder/rustup-init"
  RUSTUP_INIT_SKIP_PATH_CHECK=yes "$folder/rustup-init" -y --quiet --no-modify-path \
    --default-toolchain none </dev/null >/dev/null
  say "to use cargo yourself: . ${CARGO_HOME:-$HOME/.cargo}/env"
}

install_shellcheck() {
  command -v shellcheck >/dev/null && return
  say "installing shellcheck: it reads the scripts for mistakes"
  apt_install shellcheck
}

install_strace() {
  command -v strace >/dev/null && return
  say "installing strace: tests record with it what a process writes, to cut its power anywhere"
  apt_install strace
}

install_chromium() {
  local browser
  for browser in chromium-headless-shell chromium google-chrome; do
    command -v "$browser" >/dev/null && return
  done
  say "installing chromium without a window, and a font: tests look at the pages with it"
  apt_install chromium-headless-shell fonts-dejavu-core
}

# The tools of Redis hold the server too: it is one program with redis-check-rdb, and does what it is
# called. The package of the server would start a service as well, which nobody here asks for.
install_redis() {
  command -v redis-server >/dev/null && return
  command -v redis-check-rdb >/dev/null && return
  say "installing redis-tools: tests start a Redis of their own, to hold the cache against it"
  apt_install redis-tools
}

# Unpacked and not installed: the packages would start services, on ports that nodes and people use.
# Bookworm's are too old for the configuration (`url_file` of a webhook); trixie's need only libc.
install_prometheus() {
  local tools=${TOOLS:-$PWD/target/tools} folder package
  # The one thing that Alertmanager looks for in a fixed place.
  local templates=/usr/share/prometheus/alertmanager
  [ -x "$tools/prometheus/usr/bin/amtool" ] && [ -e "$templates/default.tmpl" ] && return
  say "unpacking prometheus and alertmanager into $tools/prometheus: the tests of monitoring run them"
  mkdir -p "$tools"
  # Made beside its place, so that an interrupted try leaves nothing that looks whole.
  folder=$(mktemp -d "$tools/prometheus.XXXXXX")
  # shellcheck disable=SC2064 # the folder of now, not of later
  trap "as_root rm -rf '$folder'" EXIT
  local packages=(prometheus prometheus-alertmanager)
  # shellcheck source=/dev/null
  if [ "$(. /etc/os-release && echo "$ID-${VERSION_CODENAME:-}")" = debian-bookworm ]; then
    download_of_trixie "$folder" "${packages[@]}" promtool
  else
    as_root apt-get -qq update >&2
    # Debian has had promtool in a package of its own since trixie.
    if apt-cache show promtool >/dev/null 2>&1; then packages+=(promtool); fi
    (cd "$folder" && apt-get -q download "${packages[@]}" >&2)
  fi
  for package in "$folder"/*.deb; do dpkg-deb --extract "$package" "$folder/unpacked"; done
  as_root mkdir -p "$templates"
  as_root cp "$folder/unpacked$templates"/*.tmpl "$templates"
  rm -rf "$tools/prometheus"
  mv "$folder/unpacked" "$tools/prometheus"
}

# Debian would start both as soon as they are installed; what is wanted are the programs. A policy that
# forbids it is put there for that long, unless the machine has one of its own.
apt_install_stopped() {
  local policy=/usr/sbin/policy-rc.d ours=no status=0
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    ours=yes
  fi
  apt_install "$@" || status=$?
  [ "$ours" = no ] || as_root rm -f "$policy"
  return "$status"
}

install_nginx() {
  command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] && return
  say "installing nginx: the load balancer and the web servers of the front door are nginx"
  apt_install_stopped nginx-light
}

# The clusters that Debian makes of every version are not wanted either.
install_postgresql() {
  compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null && return
  command -v postgres >/dev/null && return
  say "installing postgresql: the front door keeps its history in it"
  apt_install_stopped postgresql-common
  as_root sed -i 's/^#*create_main_cluster.*/create_main_cluster = false/' \
    /etc/postgresql-common/createcluster.conf
  apt_install_stopped postgresql
}

# Compiles a tool of cargo into $TOOLS, once, at the version that is pinned.
install_cargo_tool() {
  local name=$1 version=$2 tools=${TOOLS:-$PWD/target/tools}
  # Where cargo writes down what it has installed.
  grep -qs "^\"$name $version " "$tools/.crates.toml" && return
  say "compiling $name $version into $tools, once (about a minute on two cores)"
  # A folder of its own, so that an interrupted build goes on and a finished one leaves nothing.
  CARGO_TARGET_DIR="$tools/build" cargo install --locked --debug --root "$tools" "$name@$version" >&2
  rm -rf "$tools/build"
}

case "${1:-}" in
  "")
    install_packages
    install_rust
    ;;
  shellcheck) install_shellcheck ;;
  strace) install_strace ;;
  chromium) install_chromium ;;
  redis) install_redis ;;
  prometheus) install_prometheus ;;
  nginx) install_nginx ;;
  postgresql) install_postgresql ;;
  cargo-deny) install_cargo_tool cargo-deny "$cargo_deny_version" ;;
  cargo-cyclonedx) install_cargo_tool cargo-cyclonedx "$cargo_cyclonedx_version" ;;
  *) die "unknown tool: $1" ;;
esac
