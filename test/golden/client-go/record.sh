#!/bin/sh
# Records both timings of kube-vip (5/3/1 and its default 15/10/2) anew. Needs Go, the Go module proxy and a build of the lab (`npm run build`).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
(cd "$here/recorder" && go build -o "$work/recorder" .)
mkdir "$work/api"
node "$here/../../../dist/lab/api.mjs" --dir "$work/api" --listen 127.0.0.1:0 >"$work/ready" &
api=$!
trap 'kill "$api"; rm -rf "$work"' EXIT
until grep -q '"ready":true' "$work/ready"; do sleep 0.1; done
for timing in 5-3-1 15-10-2; do
  IFS=- read -r lease deadline retry <<EOF
$timing
EOF
  "$work/recorder" record -kubeconfig "$work/api/admin.conf" -out "$here/$timing.jsonl" -lease "${lease}s" -deadline "${deadline}s" -retry "${retry}s"
  # The next one starts without a Lease.
  kill "$api"
  wait "$api" || true
  rm -rf "$work/api" && mkdir "$work/api"
  node "$here/../../../dist/lab/api.mjs" --dir "$work/api" --listen 127.0.0.1:0 >"$work/ready" &
  api=$!
  until grep -q '"ready":true' "$work/ready"; do sleep 0.1; done
done
