#!/usr/bin/env bash
# From nothing to a finished run: a server and three clinics in containers, on synthetic lesions.
#
#   docker/demo.sh [FOLDER]      FOLDER is new or empty, for the images and the model (default: docker/demo)
#
# COMPOSE names the engine ("docker compose"; "podman-compose" works too). KEEP=1 leaves everything running.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
DATA=$(realpath -m "${1:-$here/demo}")
umask 022 # the clinics' user reads what is unpacked there
export DATA COMPOSE_PROJECT_NAME=dermafed-demo
read -ra engine <<<"${COMPOSE:-docker compose}"
clinics=(graz linz wien)

compose() { (cd "$here" && "${engine[@]}" "$@"); }
in_new() { compose run --rm --no-deps -T "$@"; } # in a new container
within() { compose exec -T "$@"; }               # in the running container
step() { printf '\n[%4d s] %s\n' $SECONDS "$*"; }
fail() { echo "demo.sh: $*" >&2; exit 1; }

# Repeat a command every three seconds until it succeeds, for at most 15 minutes.
wait_for() {
  local end=$((SECONDS + 900))
  until "$@" >/dev/null 2>&1; do ((SECONDS < end)) || fail "gave up waiting for: $*"; sleep 3; done
}

# Fail unless a connection from a clinic to HOST PORT has the expected result.
expect() {
  local got
  got=$(within "$1" python - "$2" "$3" <"$here/reach.py" | tr -d '\r')
  printf '  %s to %-14s port %s: %s\n' "$1" "$2" "$3" "$got"
  [[ $got == "$4" ]] || fail "expected: $4"
}
address() { within "$1" python -c 'import socket as s; print(s.gethostbyname(s.gethostname()))' | tr -d '\r'; }
finished() { within server fl-server runs --json | grep -q '"status": "finished"'; }
ended() { within server fl-server runs --json | grep -qE '"status": "(finished|failed|paused|stopped)"'; }

[[ -z $(ls -A "$DATA" 2>/dev/null) ]] || fail "$DATA is not empty; name another folder"
[[ ${KEEP:-} ]] || trap 'compose down -v -t 45 >/dev/null 2>&1' EXIT
step "Build the images: the first time takes minutes"
compose build

step "The federation, and the clinics' keys"
in_new server fl-server init . --name demo --host server
for clinic in "${clinics[@]}"; do
  mkdir -p "$DATA/$clinic"
  in_new "$clinic" fl-client init . --clinic "$clinic" --data /data
done

step "Synthetic lesions, 60 for each clinic, into $DATA"
for at in 0 1 2; do
  in_new "${clinics[at]}" python - "$at" <"$here/lesions.py" | tar -x --no-same-owner -C "$DATA/${clinics[at]}"
done

step "The server starts; it gets each clinic's public key and returns an invitation"
compose up -d server
wait_for within server fl-server clinics
for clinic in "${clinics[@]}"; do
  in_new "$clinic" cat key.pub |
    within server sh -c "cat >/tmp/key.pub && fl-server enrol $clinic /tmp/key.pub --out /tmp/$clinic.json >&2 && cat /tmp/$clinic.json" |
    in_new "$clinic" sh -c 'cat >/tmp/invitation.json && fl-client join /tmp/invitation.json'
done

step "The clinics start"
compose up -d
for clinic in "${clinics[@]}"; do wait_for within "$clinic" fl-client status --ready; done

step "Who can connect to whom"
expect graz server 9443 open      # the one port
expect graz server 9444 closed    # health: on the server's own machine only
expect graz linz 9443 "no name"
expect graz "$(address linz)" 9443 "no way"

step "A run, which every clinic approves"
within server sh -c 'cat >/tmp/demo.toml && fl-server train /tmp/demo.toml' <"$here/demo.toml"
for clinic in "${clinics[@]}"; do wait_for within "$clinic" fl-client approve demo; done
wait_for ended
within server fl-server status
finished || fail "the run did not finish"

step "The model, and what left a clinic"
within server sh -c 'cd /tmp && fl-server export demo last demo.keras --dir /federation >&2 && tar -c demo.keras demo.json' | tar -x --no-same-owner -C "$DATA"
ls -l "$DATA"/demo.*
within graz fl-client audit
step "Done"
