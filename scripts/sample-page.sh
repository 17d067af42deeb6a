#!/usr/bin/env bash
# Makes the sample page: an hour of the reference world with faults, judged. With `--pictures` it takes the
# README's pictures of it too, which needs Chromium on the path.
#
#   scripts/sample-page.sh                     into reports/sample
#   scripts/sample-page.sh --pictures
#   CUTOVER=target/debug/cutover scripts/sample-page.sh --into DIR
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
cutover=${CUTOVER:-$root/target/debug/cutover}
out=$root/reports/sample
pictures=false
while [ $# -gt 0 ]; do
  case $1 in
    --into) out=$2; shift ;;
    --pictures) pictures=true ;;
    *) echo "unknown argument $1; see the top of $0" >&2; exit 2 ;;
  esac
  shift
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$cutover" simulate "$work/capture.jsonl" --for 1h --seed 7 -q \
  --fault value_mismatch:feature=positions,field=pnl,rate=0.03 \
  --fault connection_drop:at=24m,for=90s \
  --fault gap:feature=account_balance,rate=1%
# 1 is the verdict FAIL, which is what the sample shows.
"$cutover" replay "$work/capture.jsonl" --report-dir "$work/report" -q >"$work/printed" || [ $? -eq 1 ]
mkdir -p "$out"
cp "$work/report/report.html" "$out/report.html"

if $pictures; then
  browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
  picture() { # name, width, height, more arguments
    local file=$out/$1 size=$2,$3
    shift 3
    "$browser" --headless=new --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$work/profile" \
      --window-size="$size" --screenshot="$file" "$@" "file://${page:-$out/report.html}" 2>>"$work/browser"
  }
  picture page.png 1100 900
  # One feature's section alone, in the dark: its charts.
  {
    sed -n '1,/<\/head>/p' "$out/report.html"
    echo "<main>"
    sed -n '/<section id="f1"/,/<section id="f2"/p' "$out/report.html" | sed 's/<section id="f2".*//'
  } >"$work/one.html"
  page=$work/one.html picture charts.png 1100 820 --blink-settings=preferredColorScheme=0
fi
