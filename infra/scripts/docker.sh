#!/usr/bin/env bash
# Makes a Docker engine answer: installs Debian's when there is none, starts it where no service
# manager does. Safe to run again and by two callers at once; silent when an engine answers.
#   docker.sh [--with-compose]   also the compose and buildx plugins
set -euo pipefail
. "$(dirname "$0")/prelude.sh"

# A person's PATH leaves out where dockerd lies.
PATH="$PATH:/usr/sbin:/sbin"
log=/var/log/trivet-dockerd.log
ended=/run/trivet-dockerd.ended
socket=/var/run/docker.sock
# A cold start takes 25 s on a busy machine with two cores.
start_seconds_max=120

answers() { docker version >/dev/null 2>&1; }
runs() { as_root docker version >/dev/null 2>&1; }

install_engine() {
  say "installing docker.io: tests in containers need an engine"
  command -v dockerd >/dev/null || apt_install docker.io
  # Debian has had the client in a package of its own since trixie.
  command -v docker >/dev/null || apt_install docker-cli
}

start_engine() {
  if [ -d /run/systemd/system ]; then
    as_root systemctl start docker
  else
    say "starting dockerd, which writes to $log"
    as_root bash -c "$(declare -f drop_stale_pid_files); drop_stale_pid_files; rm -f $ended
      setsid nohup bash -c 'dockerd >>$log 2>&1; touch $ended' </dev/null >/dev/null 2>&1 9<&- &"
  fi
  local begin=$SECONDS
  until runs; do
    if [ -e "$ended" ] || [ $((SECONDS - begin)) -ge "$start_seconds_max" ]; then
      as_root docker version >&2 || true
      as_root tail -n 20 "$log" >&2 || true
      die "no Docker engine answers after $((SECONDS - begin)) s; without one: make test TEST_CONTAINERS=no"
    fi
    sleep 0.2
  done
  say "the Docker engine answered after $((SECONDS - begin)) s"
}

# An engine that was killed leaves files by which the next one believes that it still runs.
drop_stale_pid_files() {
  local file
  for file in /var/run/docker.pid /var/run/docker/containerd/containerd.pid; do
    if [ -e "$file" ] && ! kill -0 "$(cat "$file")" 2>/dev/null; then rm -f "$file"; fi
  done
}

# Debian before trixie has neither plugin in the form that the engine wants.
install_plugins() {
  docker compose version >/dev/null 2>&1 && docker buildx version >/dev/null 2>&1 && return
  say "installing docker compose and docker buildx"
  # shellcheck source=/dev/null
  case "$(. /etc/os-release && echo "$ID-${VERSION_CODENAME:-}")" in
    ubuntu-*) apt_install docker-compose-v2 docker-buildx ;;
    debian-bookworm) install_plugins_of_trixie ;;
    *) apt_install docker-compose docker-buildx ;;
  esac
}

install_plugins_of_trixie() {
  local folder
  folder=$(mktemp -d)
  # shellcheck disable=SC2064 # the folder of now, not of later
  trap "rm -rf '$folder'" EXIT
  chmod 755 "$folder"
  download_of_trixie "$folder" docker-compose docker-buildx
  as_root dpkg --install "$folder"/docker-compose_*.deb "$folder"/docker-buildx_*.deb >&2
}

if ! answers; then
  # The folder itself is the lock: there is no file whose owner could be in the way.
  exec 9</run
  flock 9
  if ! command -v dockerd >/dev/null || ! command -v docker >/dev/null; then install_engine; fi
  runs || start_engine
  if ! answers; then
    say "letting $(id -un) use the engine until it restarts"
    as_root chown "$(id -un)" "$socket"
  fi
  exec 9<&-
  answers || die "the Docker engine answers root, but not $(id -un)"
fi
case "${1:-}" in
  "") ;;
  --with-compose) install_plugins ;;
  *) die "unknown option: $1" ;;
esac
