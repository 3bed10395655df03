#!/bin/sh
# Fetches and builds llama.cpp: the one place that holds the cmake arguments, used by Dockerfile.llama-cpp and by hand on a host with the
# compilers. Reads its arguments from the environment, so that a Dockerfile's ARGs reach it as they are:
#
#   LLAMA_CPP_REF       full commit or tag; required, never defaulted: an unpinned clone once cost 30 % of the speed, unnoticed
#   LLAMA_CPP_REPO      git URL of llama.cpp
#   LLAMA_CPP_COMMIT    commit that LLAMA_CPP_REF must resolve to; a moved tag stops the build
#   LLAMA_BUILD_NUMBER  upstream's build number; read off a bNNNN tag, otherwise 0 (not known)
#   BACKEND             cpu, cuda or vulkan
#   CUDA_ARCHITECTURES  for cuda: what CMAKE_CUDA_ARCHITECTURES takes, e.g. 120 for the GeForce 50 series
#   CPU_VARIANTS        all: each x86-64 or Arm level its own module, chosen at start; x86-64-v3: that level alone, a fraction of the time
#   BUILD_JOBS          compilers at once; all cores otherwise
#   BUILD_DIR           where objects go; SOURCE/build otherwise
#
# usage: build-llama-cpp.sh check | fetch SOURCE | arguments | build SOURCE PREFIX
# Messages that start with "error:" are for the operator. Exit 1: the build failed; exit 3: wrong arguments.
set -eu

programs="llama-server llama-bench llama-perplexity llama-fit-params llama-quantize"

fail() {
  printf 'error: %s\n' "$1" >&2
  exit "${2:-1}"
}

is_commit() { printf '%s\n' "$1" | grep -Eqx '[0-9a-f]{40}'; }

# All wrong arguments at once, as everywhere in this project.
check() {
  problems=""
  add() { problems="${problems}${problems:+
}error: $1"; }
  if [ -z "${LLAMA_CPP_REF:-}" ]; then
    add "LLAMA_CPP_REF: got nothing, expected a full commit or a tag such as b8149; pass --build-arg LLAMA_CPP_REF=..., or pin one with npm run pin"
  elif ! printf '%s\n' "$LLAMA_CPP_REF" | grep -Eqx '[A-Za-z0-9][A-Za-z0-9._-]*'; then
    add "LLAMA_CPP_REF: got '$LLAMA_CPP_REF', expected a full commit or a tag's bare name (letters, digits, dot, dash, underscore)"
  fi
  [ -n "${LLAMA_CPP_REPO:-}" ] || add "LLAMA_CPP_REPO: got nothing, expected a git URL"
  if [ -n "${LLAMA_CPP_COMMIT:-}" ] && ! is_commit "$LLAMA_CPP_COMMIT"; then
    add "LLAMA_CPP_COMMIT: got '$LLAMA_CPP_COMMIT', expected 40 hex digits"
  fi
  if ! printf '%s\n' "${LLAMA_BUILD_NUMBER:-0}" | grep -Eqx '[0-9]+'; then
    add "LLAMA_BUILD_NUMBER: got '$LLAMA_BUILD_NUMBER', expected digits"
  fi
  case "${BACKEND:-}" in
    cpu | vulkan) ;;
    cuda) [ -n "${CUDA_ARCHITECTURES:-}" ] || add "CUDA_ARCHITECTURES: got nothing, BACKEND=cuda needs the compute capability without its dot, such as 89 or 120; ask nvidia-smi --query-gpu=compute_cap --format=csv" ;;
    *) add "BACKEND: got '${BACKEND:-}', expected cpu, cuda or vulkan" ;;
  esac
  case "${CPU_VARIANTS:-all}" in
    all | x86-64-v3) ;;
    *) add "CPU_VARIANTS: got '$CPU_VARIANTS', expected all or x86-64-v3" ;;
  esac
  if [ -n "$problems" ]; then
    printf '%s\n' "$problems" >&2
    exit 3
  fi
}

# Fetches exactly LLAMA_CPP_REF, one commit deep, and checks that it got it.
fetch() {
  source_dir=$1
  timeout 60 git ls-remote "$LLAMA_CPP_REPO" HEAD > /dev/null ||
    fail "LLAMA_CPP_REPO: $LLAMA_CPP_REPO can't be reached from the build; check the address and the builder's network"
  git init -q "$source_dir"
  if is_commit "$LLAMA_CPP_REF"; then spec=$LLAMA_CPP_REF; else spec=refs/tags/$LLAMA_CPP_REF; fi
  if ! git -C "$source_dir" -c http.lowSpeedLimit=1000 -c http.lowSpeedTime=60 fetch -q --depth 1 "$LLAMA_CPP_REPO" "$spec"; then
    if [ -n "$(timeout 60 git ls-remote "$LLAMA_CPP_REPO" "refs/heads/$LLAMA_CPP_REF")" ]; then
      fail "LLAMA_CPP_REF: $LLAMA_CPP_REF is a branch, and branches move; pin its commit with npm run pin -- IMAGE $LLAMA_CPP_REF"
    fi
    fail "LLAMA_CPP_REF: $LLAMA_CPP_REF not found in $LLAMA_CPP_REPO; expected a tag or all 40 digits of a commit there"
  fi
  commit=$(git -C "$source_dir" rev-parse 'FETCH_HEAD^{commit}')
  if is_commit "$LLAMA_CPP_REF" && [ "$commit" != "$LLAMA_CPP_REF" ]; then
    fail "LLAMA_CPP_REF: asked for $LLAMA_CPP_REF, got $commit"
  fi
  if [ "$commit" != "${LLAMA_CPP_COMMIT:-$commit}" ]; then
    fail "LLAMA_CPP_REF: $LLAMA_CPP_REF is $commit now, the pin says $LLAMA_CPP_COMMIT; the tag moved: find out why before you pin it again"
  fi
  git -C "$source_dir" checkout -q --detach "$commit"
  printf 'llama.cpp %s is %s\n' "$LLAMA_CPP_REF" "$commit"
}

# Upstream counts commits, which a shallow clone can't: its bNNNN tags hold the same number.
build_number() {
  number=$(printf '%s\n' "$LLAMA_CPP_REF" | sed -nE 's/^b([0-9]+)$/\1/p')
  printf '%s\n' "${number:-${LLAMA_BUILD_NUMBER:-0}}"
}

# The cmake arguments, one a line. Backends are modules loaded at start (GGML_BACKEND_DL), so that the server also runs, and prints its
# flags, where there is no driver; GGML_NATIVE=OFF, because images move between hosts; no RPC backend (CVE-2026-34159); no TLS and no
# downloads in the server: the gateway has the one, the model volume the other; no NCCL: one GPU a server.
cmake_arguments() {
  cat << LIST
-GNinja
-DCMAKE_BUILD_TYPE=Release
-DBUILD_SHARED_LIBS=ON
-DCMAKE_INSTALL_RPATH=\$ORIGIN
-DCMAKE_BUILD_WITH_INSTALL_RPATH=ON
-DGGML_BACKEND_DL=ON
-DGGML_NATIVE=OFF
-DGGML_RPC=OFF
-DGGML_CCACHE=OFF
-DLLAMA_BUILD_TESTS=OFF
-DLLAMA_BUILD_EXAMPLES=OFF
-DLLAMA_BUILD_APP=OFF
-DLLAMA_BUILD_UI=OFF
-DLLAMA_USE_PREBUILT_UI=OFF
-DLLAMA_OPENSSL=OFF
-DLLAMA_CURL=OFF
-DLLAMA_BUILD_NUMBER=$(build_number)
LIST
  case "${CPU_VARIANTS:-all}" in
    all) echo -DGGML_CPU_ALL_VARIANTS=ON ;;
    x86-64-v3) printf -- '-DGGML_%s=ON\n' SSE42 AVX AVX2 BMI2 FMA F16C ;;
  esac
  case "$BACKEND" in
    cuda) printf '%s\n' -DGGML_CUDA=ON -DGGML_CUDA_NCCL=OFF "-DCMAKE_CUDA_ARCHITECTURES=$CUDA_ARCHITECTURES" ;;
    vulkan) echo -DGGML_VULKAN=ON ;;
  esac
}

compiler_cache() {
  command -v ccache > /dev/null || return 0
  printf '%s\n' -DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache
  [ "$BACKEND" != cuda ] || echo -DCMAKE_CUDA_COMPILER_LAUNCHER=ccache
}

# A failed step's own last lines stand above; this adds the one cause that compilers hide best.
fail_step() {
  for place in "$build_dir" "${TMPDIR:-/tmp}"; do
    free_mib=$(($(df -Pk "$place" | awk 'NR == 2 { print $4 }') / 1024))
    [ "$free_mib" -ge 256 ] ||
      fail "no space: $free_mib MiB left in $place while llama.cpp was $1; free some (docker system df, docker builder prune) and build again"
  done
  fail "llama.cpp $LLAMA_CPP_REF failed while $1 for BACKEND=$BACKEND; the cause stands above"
}

# JSON array of the lines on stdin.
json_array() { sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/.*/"&"/' | paste -sd, - | sed -e 's/^/[/' -e 's/$/]/'; }

json_string() { printf '%s\n' "$1" | sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/.*/"&"/'; }

# What is in PREFIX, for those who can't run it: labels can't be computed inside a build, this file can.
write_build_info() {
  help=$(LC_ALL=C "$prefix/llama-server" --help 2>&1) || fail "llama-server --help failed after the build: $help"
  compiler=$("${CXX:-c++}" --version | head -n 1)
  [ "$BACKEND" != cuda ] || compiler="$compiler; nvcc $(nvcc --version | sed -nE 's/.*, (V[0-9.]+)$/\1/p')"
  cat << JSON > "$prefix/build.json"
{
  "schema": 1,
  "repo": $(json_string "$LLAMA_CPP_REPO"),
  "ref": $(json_string "$LLAMA_CPP_REF"),
  "commit": $(json_string "$commit"),
  "commitTime": $SOURCE_DATE_EPOCH,
  "buildNumber": $(build_number),
  "backend": $(json_string "$BACKEND"),
  "compiler": $(json_string "$compiler"),
  "cmake": $(json_string "$(cmake --version | sed -nE 's/^cmake version //p')"),
  "cmakeArguments": $(cmake_arguments | json_array),
  "files": $(cd "$prefix" && find . -type f ! -name build.json | LC_ALL=C sort | xargs sha256sum | sed -E 's|^([0-9a-f]+) [ *]\./(.*)$|"\2":"\1"|' | paste -sd, - | sed -e 's/^/{/' -e 's/$/}/'),
  "flags": $(printf '%s\n' "$help" | awk '/^--?[a-zA-Z]/ { for (i = 1; i <= NF; i++) { comma = sub(/,$/, "", $i); print $i; if (!comma) break } }' | json_array),
  "environment": $(printf '%s\n' "$help" | sed -nE 's/.*\(env: ([A-Z0-9_]+)\).*/\1/p' | json_array)
}
JSON
}

build() {
  source_dir=$1 prefix=$2
  build_dir=${BUILD_DIR:-$source_dir/build}
  if [ -e "$source_dir/.git" ]; then
    commit=$(git -C "$source_dir" rev-parse HEAD)
    SOURCE_DATE_EPOCH=$(git -C "$source_dir" log -1 --format=%ct)
  else
    commit=${LLAMA_CPP_COMMIT:-$LLAMA_CPP_REF}
    is_commit "$commit" || fail "LLAMA_CPP_COMMIT: got '$commit', and $source_dir is no git checkout that could tell; pass all 40 digits" 3
    : "${SOURCE_DATE_EPOCH:=0}"
  fi
  export SOURCE_DATE_EPOCH
  # No path of the builder in the binaries; with the fixed epoch, equal inputs give equal bytes.
  export CFLAGS="-ffile-prefix-map=$source_dir=. ${CFLAGS:-}" CXXFLAGS="-ffile-prefix-map=$source_dir=. ${CXXFLAGS:-}"
  export CUDAFLAGS="-Xcompiler=-ffile-prefix-map=$source_dir=. ${CUDAFLAGS:-}"
  mkdir -p "$build_dir" "$prefix"
  newline='
'
  IFS=$newline
  # shellcheck disable=SC2046 # one argument a line
  cmake -S "$source_dir" -B "$build_dir" $(cmake_arguments) $(compiler_cache) "-DLLAMA_BUILD_COMMIT=$(printf %.9s "$commit")" || fail_step configured
  unset IFS
  # Lowest priority: the machine that builds is often the one that serves.
  # shellcheck disable=SC2086 # a list of targets
  nice -n 19 cmake --build "$build_dir" --parallel "${BUILD_JOBS:-$(nproc)}" --target $programs || fail_step compiled
  find "$build_dir/bin" -name 'lib*.so*' -exec cp -a {} "$prefix/" \;
  for program in $programs; do cp "$build_dir/bin/$program" "$prefix/"; done
  write_build_info
  find "$prefix" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

action=${1:-}
case "$action:$#" in
  check:1) check ;;
  fetch:2) check && fetch "$2" ;;
  arguments:1) check && cmake_arguments ;;
  build:3) check && build "$2" "$3" ;;
  *) fail "usage: build-llama-cpp.sh check | fetch SOURCE | arguments | build SOURCE PREFIX" 3 ;;
esac
