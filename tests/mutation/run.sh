#!/bin/sh
# Whether the tests notice faults: sh tests/mutation/run.sh [WORDS]. Tries those of faults.txt with these words in their
# description, by default all. A copy of include/ gets all of them at once, each asleep until the variable QAF_FAULT
# names it; the test files are built against the copy, have to pass as it is, and to fail for each of their faults. With
# --check only that every fragment occurs once. CXX is the compiler, JOBS how many run at a time, EIGEN the folder of
# Eigen's headers.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname "$(dirname "$here")")
faults=$here/faults.txt

# field NUMBER KEY: of fault number NUMBER, from 1.
field() {
  awk -v number="$1" -v key="$2" '$1 == "fault" { ++count }
    count == number && $1 == key { sub(/^[a-z]+ +/, ""); print; exit }' "$faults"
}

# put NUMBER INCLUDE: the fault into a copy of the headers; fails unless its fragment occurs in one place.
put() {
  header=$2/qaf/$(field "$1" file)
  FROM=$(field "$1" from) TO=$(field "$1" to) NUMBER=$1 awk '
    BEGIN {
      from = ENVIRON["FROM"]
      to = ENVIRON["TO"]
      awake = "qaf_fault(" ENVIRON["NUMBER"] ")"
      either = from ~ /;$/ ? "if (" awake ") { " to " } else { " from " }" : "(" awake " ? (" to ") : (" from "))"
    }
    {
      at = index($0, from)
      if (at) {
        rest = substr($0, at + length(from))
        count += 1 + (index(rest, from) > 0)
        $0 = substr($0, 1, at - 1) either rest
      }
      print
    }
    END { exit count != 1 }' "$header" >"$header.new" && mv "$header.new" "$header"
}

# run PROGRAM FAULT [OPTION]: 0 for no fault.
run() { QAF_FAULT=$2 timeout 900 "$1" ${3-} >"$1.log" 2>&1; }

# try TEST: builds a test file, demands that it passes as it is and, with a line for each, that it fails for its faults.
try() {
  program=$work/$(echo "$1" | tr / _)
  if ! ${CXX:-c++} -std=c++17 -O1 -w -DQAF_TEST_DATA="\"$root/tests/data\"" -include "$work/fault.hpp" \
    -I"$work/include" -I"$root/tests" -isystem "${EIGEN:-/usr/include/eigen3}" "$root/tests/$1_test.cpp" \
    "$work/main.o" -o "$program" || ! run "$program" 0
  then
    echo "$1 does not pass without a fault"
    return 1
  fi
  failed=0
  while read -r number test; do
    [ "$test" = "$1" ] || continue
    status=0
    run "$program" "$number" --abort || status=$?
    # Catch2 writes the name of a test below a line.
    by=$(awk '/^-----/ { getline; print; exit }' "$program.log")
    case $status in
      0) result="NOT NOTICED by $1" failed=1 ;;
      124) result="UNDECIDED: $1 did not end in 15 minutes" failed=1 ;;
      *) result="noticed by $1: $by" ;;
    esac
    echo "$number. $(field "$number" fault): $result"
  done <"$work/faults"
  return $failed
}

# For xargs.
if [ "${1-}" = --try ]; then
  work=$2
  try "$3"
  exit
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -R "$root/include" "$work"
numbers=$(awk -v words="${1-}" '$1 == "fault" { ++count; if (words == "--check" || index($0, words)) print count }' "$faults")
[ -n "$numbers" ] || { echo "tests/mutation/run.sh: no fault has the words '$1'" >&2; exit 2; }
failed=0
for number in $numbers; do
  put "$number" "$work/include" ||
    { echo "$number. $(field "$number" fault): its fragment is not once in $(field "$number" file)" && failed=1; }
done
[ $failed = 0 ] || exit 1
echo "$(echo "$numbers" | wc -w) faults"
[ "${1-}" != --check ] || exit 0

cat >"$work/fault.hpp" <<'END'
#include <cstdlib>
inline bool qaf_fault(int number) {
  static const int awake = std::atoi(std::getenv("QAF_FAULT"));
  return number == awake;
}
END
${CXX:-c++} -std=c++17 -O0 -w -I"$root/tests" -c "$root/tests/unit/main.cpp" -o "$work/main.o"
for number in $numbers; do echo "$number $(field "$number" test)"; done >"$work/faults"
awk '!seen[$2]++ { print $2 }' "$work/faults" | xargs -P "${JOBS:-2}" -n 1 sh "$0" --try "$work" || failed=1
[ $failed = 0 ] && echo "all are noticed"
exit $failed
