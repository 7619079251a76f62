#!/usr/bin/env bash
# The tests of what runs on a Raspberry Pi, on an emulated 64-bit ARM processor: signal processing, decisions, spotter,
# the shipped models by their golden inputs; and whether the demo recording gives the same events as here.
#
#     scripts/test_aarch64.sh FOLDER      what it fetches, some 350 MB, stays in FOLDER for the next time
#
# Needs Debian's mmdebstrap, qemu-user-static, gcc-aarch64-linux-gnu and libc6-dev-arm64-cross, and root or namespaces of
# one's own. It takes some ten minutes.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [ $# -ne 1 ]; then
    echo "usage: scripts/test_aarch64.sh FOLDER" >&2
    exit 2
fi
mkdir -p "$1"
folder=$(cd "$1" && pwd)
cd "$root"
tests=(front_end front_end_bounds posterior decision gate matching intervals spotter model_file shipped_model audio_parts)
files=("${tests[@]/#/tests/test_}")

if [ ! -d "$folder/system" ]; then
    echo "== Debian 12 for arm64: Python and what the wheels need; unpacked, nothing of it runs here"
    wanted=python3-minimal,libpython3.11-stdlib,libpython3.11-dev,libstdc++6,libgcc-s1,libssl3,libffi8,zlib1g
    wanted+=,libbz2-1.0,liblzma5,libsqlite3-0,libuuid1,libexpat1,libncursesw6,libreadline8
    mmdebstrap --variant=extract --architectures=arm64 --include="$wanted" bookworm "$folder/system.new"
    mv "$folder/system.new" "$folder/system"
fi

if [ ! -d "$folder/packages" ]; then
    echo "== wheels for arm64"
    platforms=(--platform manylinux2014_aarch64)
    for minor in $(seq 17 28); do platforms+=(--platform "manylinux_2_${minor}_aarch64"); done
    "$root/scripts/python" -m pip install --quiet --target "$folder/packages.new" --only-binary :all: \
        --python-version 3.11 "${platforms[@]}" \
        numpy onnxruntime soundfile soxr sounddevice click rich msgspec onnx pytest hypothesis
    mv "$folder/packages.new" "$folder/packages"
fi

echo "== tinyhark, with its front end in C"
rm -rf "$folder/checkout"
mkdir -p "$folder/checkout/tinyhark"
cp -r app dsp export training "$folder/checkout/tinyhark"
rm -f "$folder"/checkout/tinyhark/dsp/_front_end*.so
aarch64-linux-gnu-gcc -O3 -shared -fPIC -DPy_LIMITED_API=0x030B0000 -Iexport/c -I"$folder/system/usr/include/python3.11" \
    -I"$folder/system/usr/include" -I"$folder/system/usr/include/aarch64-linux-gnu" -o "$folder/checkout/tinyhark/dsp/_front_end.abi3.so" \
    dsp/_front_end.c dsp/_front_end_avx2.c export/c/hark_frontend.c -lm

# onnxruntime reads /proc/cpuinfo, which QEMU leaves as it is here, and breaks off at a processor that is no ARM.
for number in 0 1 2 3; do
    printf 'processor\t: %d\nFeatures\t: fp asimd evtstrm crc32 cpuid\n' "$number"
    printf 'CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd08\nCPU revision\t: 3\n\n'
done >"$folder/cpuinfo"

namespace=(unshare --mount)
[ "$(id -u)" -eq 0 ] || namespace+=(--map-root-user)
on_arm() { # Python of a Raspberry Pi 4's processor
    # shellcheck disable=SC2016
    "${namespace[@]}" sh -c 'mount --bind "$0" /proc/cpuinfo && exec "$@"' "$folder/cpuinfo" \
        qemu-aarch64-static -cpu cortex-a72 -L "$folder/system" -E PYTHONHOME="$folder/system/usr" \
        -E PYTHONPATH="$folder/packages:$folder/checkout" -E PYTHONDONTWRITEBYTECODE=1 -E OPENBLAS_NUM_THREADS=1 \
        "$folder/system/usr/bin/python3.11" "$@"
}

echo "== the demo recording, there and here"
on_arm -c 'import numpy, onnxruntime, platform; print(platform.machine(), numpy.__version__, onnxruntime.__version__)'
on_arm -m tinyhark.app detect --json app/demo/demo.opus >"$folder/there.jsonl"
scripts/python -m tinyhark.app detect --json app/demo/demo.opus >"$folder/here.jsonl"
scripts/python - "$folder/here.jsonl" "$folder/there.jsonl" <<'EOF'
import json
import sys

here, there = ([json.loads(line) for line in open(path)] for path in sys.argv[1:])
scores = [[event.pop("score") for event in events] for events in (here, there)]
assert here and here == there, "the events differ"
most = max(abs(a - b) for a, b in zip(*scores))
assert most <= 0.01, f"a score differs by {most:.4f}, more than the last bit of a code in a window makes"
print(f"{len(here)} events, the same; scores within {most:.4f}")
EOF

echo "== tests"
on_arm -m pytest -q -m "not slow" -p no:cacheprovider --hypothesis-profile=ci "${files[@]/%/.py}"
