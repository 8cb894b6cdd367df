#!/bin/sh
# How many lines of include/ the tests ran: sh tests/coverage.sh BUILD PERCENT, after `tests/run.sh --coverage` has built
# tests in the folder BUILD with clang's -fprofile-instr-generate -fcoverage-mapping and left BUILD/profiles/*.profraw.
# Prints every header with lines that nothing ran, and which; fails where fewer than PERCENT percent were run.
#
# A line of a template counts as run if any instantiation ran it, and is not there where nothing instantiates it.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
build=$1
least=$2
tool() { ${CXX:-clang++} -print-prog-name="$1"; }

"$(tool llvm-profdata)" merge -sparse -o "$build/profiles/all.profdata" "$build"/profiles/*.profraw
# The first program is an argument, the others are options.
objects=$(find "$build/tests" -path "$build/tests/examples" -prune -o -type f -perm -u+x ! -name '*.*' -print |
  sed '2,$s/^/-object /')
# shellcheck disable=SC2086  # words of their own
"$(tool llvm-cov)" export -format=lcov -instr-profile="$build/profiles/all.profdata" $objects "$root/include" \
  >"$build/coverage.lcov"

awk -v include="$root/include/" -v least="$least" '
  function end_run() {
    if (first) missed = missed (missed == "" ? "" : ", ") (first == last ? first : first "-" last)
    first = 0
  }
  /^SF:/ { file = substr($0, 4); sub(include, "", file); lines = run = first = 0; missed = "" }
  /^DA:/ {
    split(substr($0, 4), part, ",")
    ++lines
    if (part[2] > 0) { ++run; end_run() } else { if (!first) first = part[1]; last = part[1] }
  }
  /^end_of_record/ {
    end_run()
    all_lines += lines
    all_run += run
    if (run < lines) printf "%-50s %4d of %4d lines, not %s\n", file, run, lines, missed
  }
  END {
    if (all_lines == 0) { print "no lines of include/ were found"; exit 1 }
    percent = 100 * all_run / all_lines
    printf "%d of %d lines of include/ were run: %.2f %%, at least %s wanted\n", all_run, all_lines, percent, least
    exit percent < least
  }' "$build/coverage.lcov"
