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
folders="core models quant hwmodel sim codegen cosim reports cli"

# Prints one line per violation in a tree; cosim/harness is a program of its own, compiled at run time.
violations() {
  local root=$1 folder file target
  for folder in $folders; do
    [[ -d $root/$folder ]] || continue
    while IFS=: read -r file target; do
      [[ " $folders " == *" $target "* ]] || continue
      [[ " ${allowed[$folder]} " == *" $target "* ]] || echo "$file includes $target/"
    done < <(grep -rHoE '#include "[a-z]+/' "$root/$folder" --include='*.h' --include='*.cpp' |
      grep -v '/harness/' | sed -E 's/#include "([a-z]+)\//\1/')
    if [[ $folder != cli ]]; then
      grep -rnE 'std::(cout|cerr|exit|abort)|\b(printf|puts|fmt::print)\(|\bexit\(' "$root/$folder" \
        --include='*.h' --include='*.cpp' | grep -v '/harness/' | sed 's/$/   (only cli prints or exits)/' || true
    fi
  done
}

# The check itself must see a violation.
planted=$(mktemp -d)
trap 'rm -rf "$planted"' EXIT
mkdir -p "$planted/sim" "$planted/codegen" "$planted/core"
echo '#include "codegen/generate.h"' > "$planted/sim/a.cpp"
echo '#include "sim/reference.h"' > "$planted/codegen/b.cpp"
echo 'void f() { std::cout << 1; }' > "$planted/core/c.cpp"
seen=$(violations "$planted" | wc -l)
if [[ $seen != 3 ]]; then
  echo "layers: the check sees $seen of 3 planted violations" >&2
  exit 1
fi

found=$(violations .)
if [[ -n $found ]]; then
  echo "$found" >&2
  exit 1
fi
echo "layers: every include is allowed"
