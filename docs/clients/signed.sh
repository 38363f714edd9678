#!/bin/sh
# Call the bot contract of `vmdeck --serve` with the second signature.
#
#   export API_KEY=... HMAC_SECRET=...
#   sh signed.sh http://127.0.0.1:8000 GET  /vm/list
#   sh signed.sh http://127.0.0.1:8000 POST /vm/web-1/start
#
# Needs curl and openssl. Prints the answer's body; ends with 0 when the status is 2xx.
# The secret stands on openssl's command line while it signs: use this where you alone can list
# processes, and signed.py elsewhere.
set -eu
LC_ALL=C
export LC_ALL

base=${1%/} method=$2 target=$3
key_id=${KEY_ID:-bot}
body='' type=''
[ "$method" = POST ] && { body='{}' type=application/json; }

audience=${base#*://}
path=${target%%\?*}
query=''
case $target in *\?*) query=$(printf '%s' "${target#*\?}" | tr '&' '\n' | sort | paste -sd '&' -) ;; esac
digest=$(printf '%s' "$body" | openssl dgst -sha256 -r | cut -d' ' -f1)
timestamp=$(date +%s)$(date +%N | cut -c1-3)
nonce=$(openssl rand -hex 24)

covered() {
  printf 'VMDECK-HMAC-SHA256-V2'
  for part in "$key_id" "$method" "$audience" "$path" "$query" "$type" "$digest" "$timestamp" "$nonce"; do
    printf '\n%d:%s' "${#part}" "$part"
  done
}
signature=$(covered | openssl dgst -sha256 -hmac "$HMAC_SECRET" -r | cut -d' ' -f1)

set -- --silent --show-error --fail-with-body --max-time 60 --request "$method" \
  --header "x-signature-version: 2" --header "x-key-id: $key_id" --header "x-timestamp: $timestamp" \
  --header "x-nonce: $nonce" --header "x-content-sha256: $digest" --header "x-signature: $signature"
if [ -n "$body" ]; then set -- "$@" --header "content-type: $type" --data-binary "$body"; fi
# The key goes in by a file descriptor: what stands on a command line can be read by others.
printf 'header = "x-api-key: %s"\n' "$API_KEY" | curl --config - "$@" "$base$target"
echo
