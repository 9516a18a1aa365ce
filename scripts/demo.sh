#!/usr/bin/env bash
# The main job, end to end: data → train → export → generate → profile → report.
#
#   scripts/demo.sh OUT [DATA]
#
# OUT is the folder for everything that is made. DATA is a folder of your own photos and masks, in one
# of the layouts that `ali-aug data check` knows; without it a procedural product line is rendered.
# Each step continues or is skipped where an earlier run got that far; OUT/commands.txt lists them all.
set -euo pipefail

out=$1
data=${2:-}
steps=${STEPS:-300}
count=${COUNT:-48}
commands=()

quoted() { local words; words=$(printf ' %q' "$@"); echo "${words# }"; }

# run MADE COMMAND…: note the command, and run it unless MADE is there from an earlier run
run() {
  local made=$1 note=""
  shift
  [ ! -d "$made" ] || note="   (done before)"
  commands+=("$(quoted "$@")")
  printf '\n\033[1m$ %s\033[0m%s\n' "${commands[${#commands[@]} - 1]}" "$note" >&2
  [ -d "$made" ] || "$@"
}

mkdir -p "$out"
started=$SECONDS
if [ -z "$data" ]; then
  data="$out/data"
  run "$data" ali-aug data make "$data" --classes scratch,blowhole,stain
fi
run "" ali-aug data check "$data"

good=
for folder in train_C images/good good train/good; do
  if [ -n "$(ls "$data/$folder" 2>/dev/null)" ]; then good="$data/$folder"; fi
done
if [ -z "$good" ]; then
  echo "error: $data has no photos of good parts to put defects into; expected them in train/good," \
    "good, images/good or train_C" >&2
  exit 1
fi

run "" ali-aug train "$data" --out "$out/run" --steps "$steps"
run "$out/bundle" ali-aug export "$out/run" --out "$out/bundle"
run "" ali-aug generate "$out/bundle" --images "$good" --out "$out/dataset" --count "$count" \
  --seed 7 --labels coco,yolo,mvtec
run "" ali-aug profile "$out/bundle" --out "$out/profile.json"
report=(ali-aug report --run "$out/run" --bundle "$out/bundle" --dataset "$out/dataset"
  --profile "$out/profile.json" --data "$data" --images "$good" --commands "$out/commands.txt"
  --out "$out/report.html")
printf '%s\n' "${commands[@]}" "$(quoted "${report[@]}")" > "$out/commands.txt"
run "" "${report[@]}"

more=(ali-aug generate "$out/bundle" --images "$good" --out "$out/more" --count 500 --seed 8)
cat >&2 <<END

Done in $((SECONDS - started)) s.
  report:   $out/report.html
  dataset:  $out/dataset   (images, masks, samples.jsonl, COCO, YOLO, MVTec; contact_sheet.png)
Next:
  more images:    $(quoted "${more[@]}")
  your own data:  make demo DATA=<folder> OUT=<folder>
END
