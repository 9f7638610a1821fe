#!/usr/bin/env bash
# Runs `avow verify` for a build system and exits with its code: 0 accepted, 1 rejected, 2 could not be evaluated.
#
# What to verify is in the variables INPUT_*, which action.yml describes. Besides them:
#   AVOW_PROGRAM         an avow that is there already; nothing is built then
#   GITHUB_STEP_SUMMARY  file that the report is added to, if set
#   GITHUB_OUTPUT        file that the outcome is added to, if set
#   GITHUB_ACTIONS       "true" where GitHub reads what is printed
set -euo pipefail

readonly MODULE=github.com/avow-dev/avow/cmd/avow
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
work="$(mktemp -d "${RUNNER_TEMP:-${TMPDIR:-/tmp}}/avow.XXXXXXXX")"
trap 'rm -rf "$work"' EXIT

on_github() { [ "${GITHUB_ACTIONS:-}" = true ]; }

# finish CODE OUTCOME SENTENCE: says what came of it where people and programs look for it, and ends.
finish() {
  local sentence="$3"
  if [ -n "${GITHUB_OUTPUT:-}" ]; then
    echo "outcome=$2" >>"$GITHUB_OUTPUT"
  fi
  if [ "$1" != 0 ] && on_github; then
    sentence="${sentence//'%'/%25}"
    sentence="${sentence//$'\r'/%0D}"
    echo "::error title=avow::${sentence//$'\n'/%0A}"
  else
    echo "$sentence" >&2
  fi
  exit "$1"
}

# cannot SENTENCE: ends with code 2.
cannot() {
  printf '%s\n' "$1" | summarise "Could not be evaluated" text
  finish 2 error "could not be evaluated: $1"
}

# summarise TITLE FORMAT: adds standard input to the summary, as it is if it is markdown, else as an indented code block:
# no line in it can end it.
summarise() {
  [ -n "${GITHUB_STEP_SUMMARY:-}" ] || return 0
  {
    printf '### avow: %s\n\n' "$1"
    if [ "$2" = markdown ]; then cat; else sed 's/^/    /'; fi
    printf '\n'
  } >>"$GITHUB_STEP_SUMMARY"
}

# program: sets avow to the program, which is built if there is none.
program() {
  if [ -n "${AVOW_PROGRAM:-}" ]; then
    avow="$AVOW_PROGRAM"
    return
  fi
  command -v go >/dev/null || cannot "avow is built with Go, which is not installed here (actions/setup-go installs it)"
  avow="$work/avow"
  if [ -n "${INPUT_VERSION:-}" ]; then
    GOBIN="$work" go install "$MODULE@$INPUT_VERSION" >&2 || cannot "avow $INPUT_VERSION was not built"
  else
    GOWORK=off go build -C "$here/.." -o "$avow" ./cmd/avow >&2 || cannot "avow was not built from $here/.."
  fi
}

# each FLAG LIST: adds --FLAG=LINE to args for every line of the list that is not blank.
each() {
  local line
  while IFS= read -r line; do
    line="${line#"${line%%[![:space:]]*}"}"
    line="${line%"${line##*[![:space:]]}"}"
    [ -z "$line" ] || args+=("--$1=$line")
  done <<<"$2"
}

# command_line: sets args. Every input is the value of one flag or follows "--": none can become a flag of its own.
command_line() {
  local what=()
  if [ -n "${INPUT_ARTIFACT:-}" ]; then what+=("$INPUT_ARTIFACT"); fi
  if [ -n "${INPUT_IMAGE:-}" ]; then what+=("oci://${INPUT_IMAGE#oci://}"); fi
  args=(verify)
  if [ -n "${INPUT_MANIFEST:-}" ]; then
    [ "${#what[@]}" = 0 ] || cannot "manifest was given together with artifact or image"
    args+=("--manifest=$INPUT_MANIFEST")
  else
    [ "${#what[@]}" = 1 ] || cannot "give exactly one of artifact, image and manifest"
  fi
  [ -n "${INPUT_TRUSTED_ROOT:-}" ] || cannot "no trusted-root was given"
  args+=("--trusted-root=$INPUT_TRUSTED_ROOT")
  each bundle "${INPUT_BUNDLES:-}"
  each key "${INPUT_KEY:-}"
  if [ -n "${INPUT_IDENTITY:-}" ]; then args+=("--identity=$INPUT_IDENTITY"); fi
  if [ -n "${INPUT_ISSUER:-}" ]; then args+=("--issuer=$INPUT_ISSUER"); fi
  if [ -n "${INPUT_POLICY:-}" ]; then args+=("--policy=$INPUT_POLICY"); fi
  if [ -n "${INPUT_FORMAT:-}" ]; then args+=("--format=$INPUT_FORMAT"); fi
  if [ "${#what[@]}" = 1 ]; then args+=(-- "${what[0]}"); fi
}

# show: prints report and notes. What they quote of others is not for the runner of GitHub, to which a line that begins
# with "::" is a command.
show() {
  local token
  if ! on_github; then
    cat "$work/report"
    cat "$work/notes" >&2
    return
  fi
  token="$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
  printf '::stop-commands::%s\n' "$token"
  cat "$work/report" "$work/notes"
  printf '\n::%s::\n' "$token"
}

# keep: writes the report to the file that was asked for, completely or not at all.
keep() {
  [ -n "${INPUT_OUTPUT:-}" ] || return 0
  local beside
  beside="$(mktemp -- "$(dirname -- "$INPUT_OUTPUT")/.avow.XXXXXXXX")" || cannot "the report cannot be written beside $INPUT_OUTPUT"
  if ! { cat "$work/report" >"$beside" && chmod 644 "$beside" && mv -f -- "$beside" "$INPUT_OUTPUT"; }; then
    rm -f -- "$beside"
    cannot "the report cannot be written to $INPUT_OUTPUT"
  fi
}

command_line
program
code=0
"$avow" "${args[@]}" >"$work/report" 2>"$work/notes" </dev/null || code=$?
show
case "$code" in
0)
  keep
  summarise Accepted "${INPUT_FORMAT:-}" <"$work/report"
  finish 0 accepted "accepted"
  ;;
1)
  keep
  reason="$(sed -n 's/^  FAIL  \([a-z-]*\) */\1: /p' "$work/report" | head -n 1)"
  summarise Rejected "${INPUT_FORMAT:-}" <"$work/report"
  finish 1 rejected "rejected${reason:+: $reason}"
  ;;
*)
  cannot "$(grep -m 1 '^avow: ' "$work/notes" || echo "avow ended with code $code")"
  ;;
esac
