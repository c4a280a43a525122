#!/usr/bin/env bash
# Classifies images with curl: as one file, as a form of several, with options, and with a retry.
#
#   ./predict.sh http://127.0.0.1:8000 seven.png photo.jpg
#
# Prints the service's JSON, one document a line. Needs curl 7.76 or newer.
set -euo pipefail

if [ $# -lt 2 ]; then
  echo "usage: $0 URL IMAGE..." >&2
  exit 2
fi
url=$1
shift

# --fail-with-body prints the problem document of an error and exits with 22. --retry repeats
# requests that get 503 or 504 and waits for as long as Retry-After says.
send() { curl --silent --show-error --fail-with-body --retry 5 --retry-connrefused --write-out '\n' "$@"; }

# One image: its file is the body. The service reads the format from the file itself.
send --data-binary "@$1" --header 'Content-Type: application/octet-stream' "$url/v1/predict"

# The same with the three likeliest classes, and marked as uncertain below a confidence of 0.9.
send --data-binary "@$1" --header 'Content-Type: application/octet-stream' \
  "$url/v1/predict?top_k=3&threshold=0.9"

# Several images in one request: one prediction for each, in order.
files=()
for image in "$@"; do files+=(--form "image=@$image"); done
send "${files[@]}" "$url/v1/predict"
