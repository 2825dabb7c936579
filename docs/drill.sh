#!/usr/bin/env bash
# The drill of backup and restore, on the built-in models and fictional people: a register is made, backed up, lost in two
# ways, and brought back. Whoever runs a port goes through it once before opening, and after each change of machine.
#
#   docs/drill.sh [FACES]      FACES: a folder SUBJECT/IMAGE [default: the fictional set of this repository]
#
# CLEARLANE names the command [default: clearlane]. It works in a folder of its own, which is removed at the end.
set -euo pipefail
clearlane=$(command -v "${CLEARLANE:-clearlane}") || { echo "expected the clearlane command, got none: set CLEARLANE" >&2; exit 2; }
clearlane=$(realpath "$clearlane")
faces=$(realpath "${1:-$(dirname "$0")/../datasets/fictional/enrolled}")
# What the shell that runs this has set for its own port is none of the drill's.
unset CLEARLANE_REGISTER CLEARLANE_KEY CLEARLANE_KEY_FILE CLEARLANE_WITNESS CLEARLANE_GALLERY_FILE CLEARLANE_MODELS CLEARLANE_LOG

home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
# Three disks, in a real port: the register, its witness, and the backups.
mkdir "$home/port" "$home/witness" "$home/backups" "$home/away" "$home/people"
register=(--register "$home/port/port.register" --key-file "$home/port.key" --witness "$home/witness/port.roots")

step() { printf '\n== %s\n' "$*"; }
# Runs a command that has to end with one of the exit codes before `--`.
expect() {
  local codes=() code=0
  while [ "$1" != -- ]; do codes+=("$1"); shift; done
  shift
  "$@" || code=$?
  for allowed in "${codes[@]}"; do [ "$code" != "$allowed" ] || return 0; done
  echo "expected exit code ${codes[*]}, got $code: $*" >&2
  exit 1
}
# Who of the enrolled a picture shows.
shows() {
  local found
  found=$("$clearlane" identify "$faces/$1" "${register[@]}") || true
  # After the picture's path, which has a name in it too.
  case "${found#*: }" in "$2"[,:\ ]* | *[\ :]"$2"[,:\ ]*) ;; *) echo "expected $2 in $1, got: $found" >&2; exit 1 ;; esac
}

step "a key, a register, five people"
"$clearlane" register keygen "$home/port.key"
for person in f0000 f0001 f0003 f0004 f0006; do
  mkdir "$home/people/$person" && cp "$faces/$person/enrol.jpg" "$home/people/$person/"
done
"$clearlane" enrol --without-policy "$home/people" "${register[@]}"
shows f0000/plain-1.jpg f0000

step "a backup, tried at once: restored beside the port, checked, removed"
"$clearlane" register backup "$home/backups/1.register" "${register[@]}"
"$clearlane" register restore "$home/backups/1.register" --register "$home/away/trial.register" --key-file "$home/port.key"
"$clearlane" register check --register "$home/away/trial.register" --key-file "$home/port.key"
rm "$home"/away/trial.register*

step "after the backup: somebody leaves"
"$clearlane" register revoke f0006 --reason "drill" "${register[@]}"

step "an older file in the place of the present one is refused"
cp "$home/port/port.register" "$home/away/present.register"
cp "$home/backups/1.register" "$home/port/port.register"
expect 5 -- "$clearlane" register list "${register[@]}"
# The present one back in its place.
cp "$home/away/present.register" "$home/port/port.register"
"$clearlane" register check "${register[@]}"

step "the register is damaged: a block in the middle of the file is overwritten"
size=$(stat -c %s "$home/port/port.register")
dd if=/dev/urandom of="$home/port/port.register" bs=4096 seek=$((size / 8192)) count=4 conv=notrunc status=none
expect 1 5 -- "$clearlane" register check "${register[@]}"

step "what is left of it is moved away, with the files beside it, and the backup is restored"
mv "$home"/port/port.register* "$home/away/"
"$clearlane" register restore "$home/backups/1.register" "${register[@]}"
"$clearlane" register check "${register[@]}"
"$clearlane" records verify "${register[@]}"
shows f0001/plain-1.jpg f0001

step "what came after the backup is done again: who left, leaves"
"$clearlane" register revoke f0006 --reason "drill, done again after the restore" "${register[@]}"
expect 1 -- "$clearlane" identify "$faces/f0006/plain-1.jpg" "${register[@]}"
"$clearlane" register check "${register[@]}"

step "the drill is done"
