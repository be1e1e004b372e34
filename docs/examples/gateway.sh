#!/bin/sh
# Publish as DWP, subscribe as Leeds, with curl over the gateway (docs/examples/README.md).
# GATEWAY is its address, TOKEN an access token of the client.
set -eu
views="$GATEWAY/views/council-leeds-housing/events"

if [ "$1" = publish ]; then
    curl -sS --fail-with-body --retry 5 "$GATEWAY/events" -H "authorization: Bearer $TOKEN" \
        -H 'content-type: application/cloudevents+json' -d "{
        \"specversion\": \"1.0\", \"id\": \"$(date +%s%N)\", \"source\": \"urn:gov:dwp:cis\",
        \"type\": \"uk.gov.benefits.claimant.v1\", \"time\": \"$(date -u +%Y-%m-%dT%H:%M:%SZ)\",
        \"data\": {\"nino\": \"$2\", \"name\": {\"given_names\": \"$3\", \"family_name\": \"$4\"}}}"
    echo " published"
    exit
fi

take() { # Server-Sent Events: id, event, data, an empty line
    id=$(cat cursor) event=''
    while IFS= read -r line; do
        case $line in
            id:*) id=${line#id: } ;;
            event:*) event=${line#event: } ;;
            data:*) data=${line#data: } key=$(printf %s "$line" | sed 's/^data: {"key":"\([^"]*\)".*/\1/') ;;
            '') case $event in
                view-updated) printf %s "$data" > "kept/$key" || exit; printf 'keep %s %s\n' "$key" "$data" ;;
                view-retracted) rm -f "kept/$key" || exit; echo "delete $key" ;; # a withdrawal
                esac
                event='' && printf %s "$id" > cursor || exit ;; # only when it is kept or deleted
        esac
    done
}
while mkdir -p kept && touch cursor; do
    curl -fsSN -D answer "$views" -H "authorization: Bearer $TOKEN" -H "last-event-id: $(cat cursor)" | take || true
    if head -n 1 answer | grep -q ' 410'; then rm -rf kept cursor; fi # away for too long: begin again with nothing
    sleep 1
done
