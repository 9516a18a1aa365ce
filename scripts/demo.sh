#!/usr/bin/env bash
# The main job, end to end: data → train → export → generate → profile → report.
#
#   scripts/demo.sh OUT [DATA]
#
# OUT is the folder for everything that is made. DATA is a folder of your own photos and masks, in one
# of the layouts that `ali-aug data check` knows; without it a procedural product line is rendered.
# Each step continues or is skipped where an earlier run got that far.
set -euo pipefail

out=$1
data=${2:-}
steps=${STEPS:-300}
count=${COUNT:-48}
mkdir -p "$out"
commands="$out/commands.txt"
: > "$commands"

run() {
  echo "$*" >> "$commands"
  printf '\n\033[1m$ %s\033[0m\n' "$*" >&2
  "$@"
}

if [ -z "$data" ]; then
  data="$out/data"
  [ -d "$data" ] || run ali-aug data make "$data" --classes scratch,blowhole,stain
fi
for good in "$data/train/good" "$data/good" "$data/train_C"; do
  [ -d "$good" ] && break
done

started=$SECONDS
run ali-aug data check "$data"
run ali-aug train "$data" --out "$out/run" --steps "$steps"
[ -d "$out/bundle" ] || run ali-aug export "$out/run" --out "$out/bundle"
run ali-aug generate "$out/bundle" --images "$good" --out "$out/dataset" --count "$count" \
  --seed 7 --labels coco,yolo,mvtec
run ali-aug profile "$out/bundle" --out "$out/profile.json"
run ali-aug report --run "$out/run" --bundle "$out/bundle" --dataset "$out/dataset" \
  --profile "$out/profile.json" --data "$data" --images "$good" --commands "$commands" \
  --out "$out/report.html"

cat >&2 <<END

Done in $((SECONDS - started)) s.
  report:   $out/report.html
  dataset:  $out/dataset   (images, masks, samples.jsonl, COCO, YOLO, MVTec; contact_sheet.png)
Next:
  more images:    ali-aug generate $out/bundle --images $good --out $out/more --count 500 --seed 8
  your own data:  make demo DATA=<folder> OUT=<folder>
END
