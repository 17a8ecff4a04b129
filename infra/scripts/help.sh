#!/usr/bin/env bash
# Lists the targets of a Makefile: groups from `##@ …`, one line from each `target: … ## …`.
set -euo pipefail

bold='' plain=''
if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m'; fi

awk -v bold="$bold" -v plain="$plain" '
  BEGIN { FS = ":.*## "; print "make <target>" }
  /^##@ / { printf "\n%s%s%s\n", bold, substr($0, 5), plain }
  /^[a-z][a-z-]*:.*## / { printf "  %-18s%s\n", $1, $2 }
' "$1"
