#!/usr/bin/env bash
# Unpack a program from a Debian suite and print its path: without root, and without a change to the
# machine. apt gets a folder of its own, and the machine's mirror, proxy and keys.
#   tests/support/debian_program.sh testing restic
# What was unpacked stays in .venv/debian; any number may run at once.
set -euo pipefail
cd "$(dirname "$0")/../.."
suite=$1 package=$2
kept=$PWD/.venv/debian/$suite program=$PWD/.venv/debian/$suite/$package

fail() {
  echo "$1" >&2
  exit 1
}

# Print the mirrors that serve this machine's own release.
mirrors() {
  local codename
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  apt-get -o "Dir::State::lists=$work/none" update --print-uris |
    sed -n "s|^'\(.*\)/dists/$codename/main/binary-.*|\1|p" | sort -u
}

# Write where the suite is found; the signature of its index is checked as the machine's own is.
sources() {
  local key
  echo "Types: deb"
  echo "URIs: $1"
  echo "Suites: $suite"
  echo "Components: main"
  echo "Architectures: $(dpkg --print-architecture)"
  for key in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
    if [ -e "$key" ]; then echo "Signed-By: $key" && return; fi
  done
}

own_apt() {
  apt-get -qq -o "Dir::Etc::sourcelist=$work/suite.sources" -o Dir::Etc::sourceparts=- \
    -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache" -o Acquire::GzipIndexes=true \
    -o Acquire::Languages=none -o Acquire::http::Timeout=30 -o "APT::Sandbox::User=$(id -un)" "$@"
}

download() {
  sources "$1" >"$work/suite.sources"
  own_apt update -o APT::Update::Error-Mode=any && (cd "$work" && own_apt download "$package")
}

unpack() {
  local mirror
  for mirror in $(mirrors); do
    if download "$mirror" >&2; then
      dpkg -x "$work/$package"_*.deb "$work/unpacked"
      mv "$work/unpacked/usr/bin/$package" "$program"
      return
    fi
  done
  fail "$package of Debian $suite can't be had from this machine's package mirror."
}

if [ ! -x "$program" ]; then
  type apt-get dpkg flock >/dev/null 2>&1 ||
    fail "$package is not installed, and this is no Debian to get it from."
  mkdir -p "$kept"
  exec 9>"$kept/.lock"
  flock 9
  if [ ! -x "$program" ]; then
    work=$(mktemp -d "$kept/.work-XXXXXX")
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$work"/{none,lists,cache}/partial "$work/cache/archives/partial"
    unpack
  fi
fi
echo "$program"
