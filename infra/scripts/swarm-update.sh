#!/usr/bin/env bash
# Gives every node of a stack a new image, one after the other: the next when the last is healthy and
# has been for as long as its service is watched. `docker stack deploy` would restart all of them at
# once, which loses nothing and interrupts everybody.
#   swarm-update.sh STACK IMAGE
# A node that does not get healthy is taken back by Swarm, and the rest is left as it was.
set -euo pipefail
. "$(dirname "$0")/prelude.sh"

stack=${1:?the name of the stack is missing} image=${2:?the image is missing}
mapfile -t services < <(docker stack services --format '{{.Name}}' "$stack" | sort)
[ ${#services[@]} -gt 0 ] || die "there is no stack $stack here: this is to run on a manager"
for service in "${services[@]}"; do
  say "$service gets $image"
  docker service update --quiet --no-resolve-image --image "$image" "$service" >/dev/null
  outcome=$(docker service inspect --format '{{if .UpdateStatus}}{{.UpdateStatus.State}}: {{.UpdateStatus.Message}}{{end}}' "$service")
  case "$outcome" in
    completed*) ;;
    *) die "$service: $outcome; the nodes after it were left alone: docker service ps --no-trunc $service" ;;
  esac
done
say "all of $stack have $image"
