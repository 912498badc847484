#!/usr/bin/env bash
# Holds the table of docs/architecture.md: which folder may include which, sim and codegen never each
# other, and only cli prints or exits. Usage: tests/layers.sh <source tree>
set -euo pipefail
cd "$1"

declare -A allowed=(
  [core]="core"
  [models]="models core"
  [quant]="quant models core"
  [hwmodel]="hwmodel core"
  [sim]="sim quant models hwmodel core"
  [codegen]="codegen quant models hwmodel core"
  [cosim]="cosim sim codegen quant models hwmodel core"
  [reports]="reports sim quant models hwmodel core"
  [cli]="cli reports cosim sim codegen quant models hwmodel core"
)
prints='std::(cout|cerr|clog)\b|(^|[^A-Za-z0-9_.>])(std::|::)?(v?f?printf|f?puts|putchar|perror|exit|_exit|_Exit|quick_exit|abort|terminate) *\(|fmt::v?print(ln)? *\('
folders="core models quant hwmodel sim codegen cosim reports cli"

# Prints one line per violation in a tree; cosim/harness is a program of its own, compiled at run time.
violations() {
  local root=$1 folder file target
  for folder in $folders; do
    [[ -d $root/$folder ]] || continue
    while IFS=: read -r file target; do
      [[ " ${allowed[$folder]} " == *" $target "* ]] || echo "$file includes $target/"
    done < <(grep -rHoE '#include "[a-z]+/' "$root/$folder" --include='*.h' --include='*.cpp' |
      grep -v '/harness/' | sed -E 's/#include "([a-z]+)\//\1/')
    if [[ $folder != cli ]]; then
      # Trailing comments do not count; members (run.exit()) and snprintf do neither print nor end.
      while IFS= read -r file; do
        sed 's,//.*,,' "$file" | grep -nE "$prints" | sed "s|^|$file:|; s|\$|   (only cli prints or exits)|" || true
      done < <(find "$root/$folder" -path '*/harness' -prune -o \( -name '*.h' -o -name '*.cpp' \) -print)
    fi
  done
}

# The check itself must see violations, and nothing else.
planted=$(mktemp -d)
trap 'rm -rf "$planted"' EXIT
plant() {  # plant <violations> <file> <line of C++>
  local seen
  mkdir -p "$planted/$(dirname "$2")"
  printf '%s\n' "$3" > "$planted/$2"
  seen=$(violations "$planted" | wc -l)
  rm -r "${planted:?}/${2%%/*}"
  if [[ $seen != "$1" ]]; then
    echo "layers: the check sees $seen violations, not $1, in $2: $3" >&2
    exit 1
  fi
}
plant 1 sim/a.cpp '#include "codegen/generate.h"'
plant 1 codegen/a.h '#include "sim/reference.h"'
plant 1 core/a.h '#include "models/graph.h"'
plant 1 hwmodel/a.h '#include "quant/quantize.h"'
plant 1 models/ops/a.cpp '#include "tests/models/compare.h"'
plant 1 core/a.cpp 'void f() { std::cout << 1; }'
plant 1 quant/a.cpp '  fmt::print("{}", 1);'
plant 1 reports/a.cpp '  printf("x");'
plant 1 cosim/a.cpp '  if (bad) std::abort();'
plant 1 sim/a.cpp '  exit(1);'
plant 0 cosim/a.cpp '#include "sim/simulator.h"'
plant 0 cosim/harness/a.cpp '  printf("x");'
plant 0 cli/a.cpp '  fmt::print("{}", 1);'
plant 0 core/a.cpp '  std::snprintf(text, 9, "x"); run.exit(1);  // exit(1)'

found=$(violations .)
if [[ -n $found ]]; then
  echo "$found" >&2
  exit 1
fi
echo "layers: every include is allowed"
