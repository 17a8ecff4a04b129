#!/usr/bin/env bash
# Runs one step of a longer job: says what begins, what ended and how long it took.
#   step.sh NAME COMMAND [ARGUMENT…]
set -euo pipefail

bold='' red='' plain=''
if [ -t 2 ]; then bold=$'\e[1m' red=$'\e[31m' plain=$'\e[0m'; fi

name=$1
shift
echo "${bold}▸ $name${plain}" >&2
begin=$SECONDS
status=0
"$@" || status=$?
took="$((SECONDS - begin)) s"
if [ "$status" -ne 0 ]; then
  echo "${red}✗ $name failed after $took (status $status): $*${plain}" >&2
  exit "$status"
fi
echo "${bold}✓ $name, $took${plain}" >&2
