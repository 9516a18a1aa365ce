#!/usr/bin/env bash
# Does the edge half run on 64-bit Arm, and draw there what it draws on x86?
#
#   scripts/test_aarch64.sh [PYTHON]
#
# Makes an arm64 Debian root, puts aarch64 wheels and this checkout's core beside it, draws samples
# from the shipped bundle in it under qemu user emulation, draws the same on this machine with the
# same onnxruntime and with that of PYTHON, and compares the datasets. Minutes; never part of CI.
# What was downloaded stays in build/aarch64: a second run only draws and compares.
#
# COUNT and SEED say what is drawn, MIRROR is a Debian mirror (debootstrap has a default).
set -euo pipefail
cd "$(dirname "$0")/.."

python=${1:-.venv/bin/python}
count=${COUNT:-4}
seed=${SEED:-7}
# The newest that runs under this emulation: 1.32.0 ends in a segmentation fault on import, with
# every -cpu that was tried. It is also the newest for Python 3.10, that is JetPack 6.
onnxruntime=1.23.2
suite=bookworm
arm_python=3.11 # the one of that suite
root=build/aarch64/root
arm=build/aarch64/site-aarch64
x86=build/aarch64/site-x86_64
core=build/aarch64/site-core

fail() { echo "error: $*" >&2 && exit 1; }

check_tools() {
  local tool missing=()
  for tool in qemu-aarch64-static debootstrap dpkg; do
    command -v "$tool" > /dev/null || missing+=("$tool")
  done
  [ ${#missing[@]} = 0 ] ||
    fail "${missing[*]} not found; on Debian or Ubuntu run: apt-get install qemu-user-static debootstrap"
  [ "$(uname -m)" = x86_64 ] || fail "this compares Arm with x86_64, and here is $(uname -m)"
  [ -x "$python" ] || fail "$python not found; run: make setup"
}

# Unpacked, not installed: no package's script runs, so neither chroot nor binfmt is needed.
make_root() {
  [ ! -d $root ] || return 0
  [ "$(id -u)" = 0 ] || fail "debootstrap wants root; run: sudo make test-aarch64"
  rm -rf $root.part
  local log=build/aarch64/debootstrap.log deb
  debootstrap --arch=arm64 --foreign --variant=minbase --include=python3,libstdc++6,libgomp1 \
    $suite $root.part ${MIRROR:+"$MIRROR"} > $log 2>&1 || fail "debootstrap failed: $(tail -1 $log)"
  for deb in $root.part/var/cache/apt/archives/*.deb; do dpkg -x "$deb" $root.part; done
  mv $root.part $root
}

# install_wheels: the core's dependencies and onnxruntime for both machines, in the same versions.
install_wheels() {
  [ ! -d $x86 ] || return 0
  local wheels=build/aarch64/wheels wheel pins=() pip=("$python" -m pip --quiet --disable-pip-version-check)
  local needs=("onnxruntime==$onnxruntime")
  while read -r wheel; do needs+=("$wheel"); done < <("$python" -c \
    'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")')
  "${pip[@]}" download --only-binary=:all: --implementation cp --python-version $arm_python \
    --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 \
    --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 \
    --dest $wheels "${needs[@]}" || fail "the aarch64 wheels could not be downloaded"
  rm -rf $arm $x86 $x86.part
  for wheel in $wheels/*.whl; do
    "$python" -m zipfile -e "$wheel" $arm
    pins+=("$(basename "$wheel" | cut -d- -f1,2 | sed 's/-/==/')")
  done
  "${pip[@]}" install --only-binary=:all: --no-deps --target $x86.part "${pins[@]}" ||
    fail "onnxruntime $onnxruntime and its neighbours could not be installed for this machine"
  mv $x86.part $x86
}

# The wheel is built from a copy, so that no earlier build/lib gets into it.
install_core() {
  local source=build/aarch64/source site
  rm -rf $source $core build/aarch64/wheel && mkdir -p $source
  git ls-files -z --cached --others --exclude-standard aliaug_edge pyproject.toml README.md LICENSE |
    tar --null --ignore-failed-read -T - -cf - 2> /dev/null | tar -xf - -C $source
  "$python" -m pip --quiet --disable-pip-version-check wheel --no-deps \
    --wheel-dir build/aarch64/wheel $source || fail "the wheel of this checkout could not be built"
  for site in $arm $x86 $core; do
    rm -rf $site/aliaug_edge $site/aliaug_edge-*.dist-info
    "$python" -m zipfile -e build/aarch64/wheel/aliaug_edge-*.whl $site
  done
}

# on_arm, on_x86, on_own ARGUMENT…: the wheel in a Python that sees nothing else, neither this
# checkout (-P) nor, but for on_own, the packages of PYTHON (-S).
with_path() { env -i PATH="$PATH" LANG=C.UTF-8 PYTHONPATH="$PWD/$1" "${@:2}"; }
on_arm() {
  with_path $arm qemu-aarch64-static -cpu cortex-a76 -L $root $root/usr/bin/python$arm_python -PS "$@"
}
on_x86() { with_path $x86 "$python" -PS "$@"; }
on_own() { with_path $core "$python" -P "$@"; }

card='import platform as p; from importlib.metadata import version as v
print(p.machine(), "Python", p.python_version(), *(f"{n} {v(n)}" for n in ("onnxruntime", "numpy", "pillow")))'

# draw WHERE: `ali-aug generate tiny` in build/aarch64/WHERE
draw() {
  local out=build/aarch64/$1 log=build/aarch64/$1.log
  rm -rf "$out"
  "on_$1" -c 'from aliaug_edge.cli import main; main()' generate tiny --out "$out" --count "$count" \
    --seed "$seed" --labels coco,yolo,mvtec --engine onnxruntime-cpu --threads 1 > "$log" 2>&1 ||
    fail "generate failed on $1: $(tail -1 "$log")"
}

check_tools
mkdir -p build/aarch64
make_root
install_wheels
install_core
echo "host: $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2 | xargs), $(qemu-aarch64-static --version | head -1)"
for where in x86 own arm; do # the slow one last
  echo "$where: $("on_$where" -c "$card")"
  draw $where
done
for where in x86 own; do
  "$python" scripts/compare_datasets.py build/aarch64/arm build/aarch64/$where
done
echo "PASS: $count samples of seed $seed drawn on emulated 64-bit Arm agree with x86_64"
