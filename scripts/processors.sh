#!/usr/bin/env bash
# The tests as other processors would run them: with fewer vector instructions in torch, oneDNN, MKL and OpenCV, and on
# two threads; the other settings, like `make test`, have one.
# Arguments go to pytest, which works on up to four cores. One line a setting; exit status 1 if a setting fails.
set -uo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
settings=(
  "ATEN_CPU_CAPABILITY=default"
  "ATEN_CPU_CAPABILITY=avx2"
  "ONEDNN_MAX_CPU_ISA=AVX2 DNNL_MAX_CPU_ISA=AVX2"
  "ONEDNN_MAX_CPU_ISA=SSE41 DNNL_MAX_CPU_ISA=SSE41"
  "ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 DNNL_MAX_CPU_ISA=SSE41 MKL_CBWR=COMPATIBLE"
  "OPENCV_CPU_DISABLE=AVX2,AVX512_SKX MKL_CBWR=COMPATIBLE"
  "OMP_NUM_THREADS=2"
)
export OMP_NUM_THREADS=1
failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for setting in "${settings[@]}"; do
  # shellcheck disable=SC2086  # a setting is several variables
  if env $setting "$python" -m pytest -n auto --maxprocesses 4 --dist worksteal "$@" >"$log" 2>&1; then
    echo "passed  $setting  ($(tail -n 1 "$log"))"
  else
    echo "FAILED  $setting"
    grep -E '^(FAILED|ERROR)' "$log" || tail -n 20 "$log"
    failed=1
  fi
done
exit "$failed"
