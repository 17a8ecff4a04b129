#!/usr/bin/env bash
# Follows the README as a newcomer would: in a container with Debian, git and make, and nothing
# from this machine but the committed checkout. Long, because everything is compiled from nothing.
#   newcomer.sh          all steps in order, and the container removed at the end
#   newcomer.sh STEP…    some of: image start up commands status down test remove
# The network is the machine's own, so that package registries answer as they do here, and so that
# a development cluster outside would be in the way: stop it first.
set -euo pipefail
cd "$(dirname "$0")/../.."
. infra/scripts/prelude.sh

image=trivet-newcomer
container=trivet-newcomer
cpus=2
memory=8g
nodes=3

inside() { docker exec --workdir /trivet "$container" "$@"; }

# Debian's smallest system with the package sources and the certificates of this machine. The
# sources are those that apt itself uses, so that no mirror's name stands here.
step_image() {
  local folder suite=bookworm
  command -v mmdebstrap >/dev/null || { say "installing mmdebstrap: it makes the base image" && apt_install mmdebstrap; }
  folder=$(mktemp -d)
  # shellcheck disable=SC2064 # the folder of now, not of later
  trap "rm -rf '$folder'" EXIT
  # shellcheck disable=SC2016 # apt fills these in
  apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
    'Identifier: Packages' 'Origin: Debian' | grep -E " $suite(-[a-z]+)? main$" |
    sort -u >"$folder/sources.list"
  [ -s "$folder/sources.list" ] || die "apt on this machine has no sources of Debian $suite"
  mkdir "$folder/certificates"
  find /usr/local/share/ca-certificates -name '*.crt' -exec cp {} "$folder/certificates" \;
  say "making the base image of Debian $suite"
  # shellcheck disable=SC2016 # mmdebstrap's shell fills $1 in
  as_root mmdebstrap --quiet --variant=minbase --mode=root --include=ca-certificates,git,make \
    --customize-hook="copy-in $folder/certificates /usr/local/share/ca-certificates" \
    --customize-hook='chroot "$1" update-ca-certificates' \
    "$suite" - "$folder/sources.list" | docker import - "$image" >/dev/null
}

step_start() {
  docker rm --force "$container" >/dev/null 2>&1 || true
  docker run --detach --init --name "$container" --network host --cpus "$cpus" --memory "$memory" \
    "$image" sleep infinity >/dev/null
  say "copying $(git log -1 --format='%h “%s”') into the container"
  git archive --prefix=trivet/ HEAD | docker exec --interactive "$container" tar --extract --directory /
}

step_up() {
  inside make up "NODES=$nodes" 2>&1 | tee "$transcript"
}

# The commands to try, as `make up` printed them: lines that begin with two spaces and a prompt.
step_commands() {
  local commands command
  [ -s "$transcript" ] || die "run the step up first: its output names the commands"
  commands=$(sed 's/\x1b\[[0-9;]*m//g' "$transcript" | sed -n 's/^  \$ //p')
  [ -n "$commands" ] || die "make up printed no command to try"
  while IFS= read -r command <&3; do
    say "trying: $command"
    inside bash -c "PATH=\$HOME/.cargo/bin:\$PATH; $command" || die "this failed: $command"
  done 3<<<"$commands"
}

step_status() {
  local status healthy all
  status=$(inside make status JSON=1)
  all=$(grep -o '"healthy":' <<<"$status" | wc -l)
  healthy=$(grep -o '"healthy": *true' <<<"$status" | wc -l)
  if [ "$all" -lt "$nodes" ] || [ "$healthy" -ne "$all" ]; then
    die "$healthy of $all processes are healthy: $status"
  fi
  say "$healthy of $all processes are healthy"
}

step_down() { inside make down; }

step_test() { inside make test TEST_CONTAINERS=no; }

step_remove() { docker rm --force "$container" >/dev/null; }

transcript=${CARGO_TARGET_DIR:-$PWD/target}/newcomer-up.log
mkdir -p "${transcript%/*}"
infra/scripts/docker.sh
steps=("$@")
[ ${#steps[@]} -gt 0 ] || steps=(image start up commands status down test remove)
for step in "${steps[@]}"; do
  case $step in
    image | start | up | commands | status | down | test | remove) ;;
    *) die "unknown step: $step" ;;
  esac
  begin=$SECONDS
  "step_$step"
  say "$step: done in $((SECONDS - begin)) s"
done
