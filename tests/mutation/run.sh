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

# run TEST FAULT [OPTION]: its program, 0 for no fault.
run() { QAF_FAULT=$2 timeout 900 "$work/$(echo "$1" | tr / _)" ${3-} >"$work/log.$2.$$" 2>&1; }

# build TEST: fails unless it compiles and passes.
build() {
  program=$work/$(echo "$1" | tr / _)
  ${CXX:-c++} -std=c++17 -O0 -w -DQAF_TEST_DATA="\"$root/tests/data\"" -include "$work/fault.hpp" -I"$work/include" \
    -I"$root/tests" -isystem "${EIGEN:-/usr/include/eigen3}" "$root/tests/$1_test.cpp" "$work/main.o" -o "$program" &&
    run "$1" 0 && return
  echo "$1 does not pass without a fault"
  return 1
}

# try NUMBER: one line with what came of a fault; fails unless a test fails.
try() {
  for test in $(field "$1" tests); do
    status=0
    run "$test" "$1" --abort || status=$?
    [ $status = 0 ] && continue
    # Catch2 writes the name of a test below a line.
    by=$(awk '/^-----/ { getline; print; exit }' "$work/log.$1.$$")
    [ $status = 124 ] && by="it does not end"
    echo "$1. $(field "$1" fault): noticed by $test: $by"
    return 0
  done
  echo "$1. $(field "$1" fault): NOT NOTICED by $(field "$1" tests)"
  return 1
}

# These for xargs.
case ${1-} in
  --build | --try)
    work=$2
    "${1#--}" "$3" && exit
    exit 1
    ;;
esac

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
for number in $numbers; do field "$number" tests; done | tr ' ' '\n' | sort -u |
  xargs -P "${JOBS:-2}" -n 1 sh "$0" --build "$work" || failed=1
echo "$numbers" | xargs -P "${JOBS:-2}" -n 1 sh "$0" --try "$work" || failed=1
[ $failed = 0 ] && echo "all are noticed"
exit $failed
