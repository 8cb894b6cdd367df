# To be sourced: `ensure_packages PACKAGE:PROBE ...` makes sure that every probe, a command or a file,
# is there. What is missing is installed with apt where that is possible, else named.

ensure_packages() {
  missing=
  for entry in "$@"; do
    probe=${entry#*:}
    case $probe in
      /*) [ -e "$probe" ] || missing="$missing ${entry%%:*}" ;;
      *) command -v "$probe" >/dev/null 2>&1 || missing="$missing ${entry%%:*}" ;;
    esac
  done
  [ -n "$missing" ] || return 0
  if command -v apt-get >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ]; then as_root=; elif sudo -n true 2>/dev/null; then as_root=sudo; else as_root=none; fi
    if [ "$as_root" != none ]; then
      echo "installing with apt:$missing"
      # shellcheck disable=SC2086  # one word a package
      if $as_root apt-get update -qq >/dev/null &&
         DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
      then
        return 0
      fi
      echo "apt could not install:$missing" >&2
      exit 1
    fi
    echo "these packages are missing and only root may install them: apt-get install$missing" >&2
    exit 1
  fi
  # Elsewhere the libraries may stand in another place, where CMake finds them.
  echo "not found in the usual places, under Debian's names:$missing" >&2
}
