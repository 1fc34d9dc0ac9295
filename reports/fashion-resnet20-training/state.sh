#!/bin/sh
# Keeps a running seed's state here, and puts it back on another machine.
#   state.sh save RUN      after each stop; RUN is a folder .../seed-N
#   state.sh restore RUN   before the same command goes on
# The journal only grows, so each stop adds one compressed piece of it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
usage() { echo "state.sh: give save or restore, then a seed's folder" >&2; exit 2; }
[ $# -eq 2 ] || usage
run=$2
kept=$here/$(basename "$run")

journal() { for piece in "$kept"/journal-*.xz; do [ ! -e "$piece" ] || xz -dc "$piece"; done; }

case $1 in
save)
  mkdir -p "$kept"
  begin=$(journal | wc -c)
  journal | cmp -n "$begin" - "$run/journal.jsonl"
  newest=$(find "$run/checkpoints" -mindepth 1 -maxdepth 1 -name 'step-*' | sort | tail -n 1)
  tar -C "$run" -cJf "$kept/.new" recipe.json environment.json "checkpoints/$(basename "$newest")"
  rm -f "$kept"/step-*.tar.xz
  mv "$kept/.new" "$kept/$(basename "$newest").tar.xz"
  # Of the predictions those that may decide: of the best epoch so far.
  best=$(sed -n 's/.*"event":"evaluation".*"step":\([0-9]*\),.*"top1_correct":\([0-9]*\),.*/\2 \1/p' \
    "$run/journal.jsonl" | sort -k1,1nr -k2,2n | head -n 1 | cut -d ' ' -f 2)
  rm -f "$kept"/predictions-*
  [ -z "$best" ] || cp "$run"/predictions-*-step-"$best".parquet "$kept"
  # Whole lines only: a training that goes on meanwhile may be writing one.
  whole=$(($(wc -l < "$run/journal.jsonl") - $(journal | wc -l)))
  [ "$whole" -eq 0 ] || tail -c "+$((begin + 1))" "$run/journal.jsonl" | head -n "$whole" |
    xz -9 > "$kept/journal-$(date -u +%Y%m%dT%H%M%SZ).jsonl.xz"
  ;;
restore)
  [ -d "$kept" ] || { echo "state.sh: no state of $(basename "$run") here; name the folder seed-N" >&2; exit 2; }
  # A run that went on since is worth more than what is kept here.
  [ ! -e "$run/journal.jsonl" ] || { echo "state.sh: $run already has a journal; move it away first" >&2; exit 2; }
  mkdir -p "$run"
  tar -C "$run" -xJf "$kept"/step-*.tar.xz
  journal > "$run/journal.jsonl"
  for file in "$kept"/predictions-*; do [ ! -e "$file" ] || cp "$file" "$run"; done
  ;;
*) usage ;;
esac
