#!/usr/bin/env bash
# Another architecture by emulation: Python and PyTorch for aarch64, the processors of
# recent Macs and of many servers, on a Debian machine with another processor.
#
#     bash tests/aarch64.sh [--work FOLDER] setup
#     bash tests/aarch64.sh [--work FOLDER] tests [files and options of pytest]
#     bash tests/aarch64.sh [--work FOLDER] chapter book/01_one_hot.ipynb ...
#     bash tests/aarch64.sh [--work FOLDER] python ...
#
# `tests` runs the core's tests unless files are named; `chapter` runs tests/plain.py on
# notebooks, and takes its options; `python` is for anything else. Each sets up what is
# missing first: all that is fetched goes to the work folder (_build/aarch64 unless
# named; 1.6 GB), and what lies there is not fetched again. Root is needed only to
# install the emulator. The data: see README; outputs are compared on the real data.
#
# One thread, and everything takes ten to twenty times as long as on the machine itself;
# importing PyTorch alone takes half a minute. OpenBLAS and PyTorch choose their kernels
# by the processor: AARCH64_CPU names the one to emulate, from the list that
# `qemu-aarch64-static -cpu help` prints. The default has, like the Macs', the vector
# instructions of Neon and not those of SVE.
set -euo pipefail
cd "$(dirname "$0")/.."

# From 2.9 on, PyTorch's plain wheels for aarch64 want CUDA's libraries: gigabytes, of no
# use here. 2.8.0 is the newest that is a CPU build. All else is as requirements.txt pins.
torch=2.8.0
cpu=neoverse-n1

# What depends on the processor and ends within an hour or two. Not among them:
# test_book, test_gate, test_faults, test_mutants and test_arithmetics run notebooks in Jupyter; test_parallel,
# test_benchmarks, test_experiments and test_*_experiments start many processes, measure
# speeds or train for long; test_drawing* draw; test_plain tests a tool.
core=(text batching names datasets rnn lstm clipping language_model training generation
  bptt ngram kneser_ney direct classifier reference)

usage() {
  sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' tests/aarch64.sh
  exit 2
}

work=_build/aarch64
if [ "${1:-}" = --work ]; then
  [ $# -ge 3 ] || usage
  work=$2
  shift 2
fi
action=${1:-}
case $action in setup | tests | chapter | python) shift ;; *) usage ;; esac
mkdir -p "$work"
work=$(cd "$work" && pwd)
root=$work/root packages=$work/packages python=$work/python

install_emulator() { # and venv, which Debian keeps apart from Python
  local missing=()
  command -v qemu-aarch64-static >/dev/null || missing+=(qemu-user-static)
  python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
  [ "${#missing[@]}" -gt 0 ] || return 0
  echo "== apt-get install ${missing[*]}"
  apt-get -qq update
  DEBIAN_FRONTEND=noninteractive apt-get -qq --yes --no-install-recommends \
    install "${missing[@]}" >/dev/null
}

unpack_debian() { # Debian's Python for arm64 and all it depends on, into $root
  [ ! -e "$work/root.done" ] || return 0
  echo "== Debian's Python for arm64"
  local apt=$work/apt archive
  mkdir -p "$apt"/{lists,archives}/partial "$root"
  : >"$apt/status" # as if nothing were installed: whatever Python needs is fetched
  cat >"$apt/conf" <<EOF
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Sandbox::User "";
Dir::State "$apt";
Dir::State::status "$apt/status";
Dir::Cache "$apt";
EOF
  APT_CONFIG=$apt/conf apt-get -qq update
  APT_CONFIG=$apt/conf apt-get -qq --yes --download-only --no-install-recommends \
    install python3 libstdc++6 libgomp1 >/dev/null
  for archive in "$apt"/archives/*.deb; do
    dpkg -x "$archive" "$root"
  done
  rm -rf "$apt"
  touch "$work/root.done"
}

debian_python() { # its name, as in python3.11
  basename "$(readlink "$root/usr/bin/python3")"
}

write_python() { # a command that is that Python, also to itself: it may call itself
  cat >"$python.new" <<EOF
#!/bin/sh
export PYTHONHOME="$root/usr" PYTHONPATH="$packages"
exec qemu-aarch64-static -cpu "\${AARCH64_CPU:-$cpu}" -0 "$python" -L "$root" \\
  "$root/usr/bin/$(debian_python)" "\$@"
EOF
  chmod +x "$python.new"
  mv "$python.new" "$python"
}

install_packages() { # what requirements.txt pins, as wheels for aarch64, into $packages
  local wanted=$work/requirements.txt version glibc platforms=(--platform=any)
  {
    echo "torch==$torch"
    grep -v -e '^torch==' -e '^-e ' requirements.txt
  } >"$wanted.new"
  ! cmp -s "$wanted.new" "$wanted" || return 0
  echo "== the wheels for aarch64"
  version=$(debian_python)
  for glibc in {36..17}; do # a wheel's name has the oldest C library that it runs with
    platforms+=("--platform=manylinux_2_${glibc}_aarch64")
  done
  platforms+=(--platform=manylinux2014_aarch64)
  python3 -m venv --clear "$work/pip"
  rm -rf "$packages" "$wanted"
  # Without their dependencies, which pip would choose for the processor that it runs
  # on; requirements.txt lists them all.
  "$work/pip/bin/pip" install --quiet --no-input --no-deps --only-binary=:all: \
    --implementation=cp --python-version="${version#python}" "${platforms[@]}" \
    --target="$packages" --requirement="$wanted.new"
  mv "$wanted.new" "$wanted"
}

install_emulator
unpack_debian
write_python
install_packages

export OMP_NUM_THREADS=1 PYTHONUNBUFFERED=1
case $action in
  setup)
    "$python" -c 'from tests.differences import machine; print(machine())'
    ;;
  tests)
    files=("${core[@]/#/tests/test_}")
    files=("${files[@]/%/.py}")
    for argument; do
      case $argument in tests/*) files=() ;; esac
    done
    # In one process, without nbval: not the options that pyproject.toml adds. The
    # profile `ci` of hypothesis has no deadlines.
    "$python" -m pytest -o addopts= -p no:nbval -p no:cacheprovider \
      --hypothesis-profile=ci "${files[@]}" "$@"
    ;;
  chapter) "$python" -m tests.plain "$@" ;;
  python) "$python" "$@" ;;
esac
