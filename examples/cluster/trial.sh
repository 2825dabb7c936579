#!/usr/bin/env bash
# Three brokers, a registrar and six nodes on this machine, to try a cluster: partitions 0 to 2, each on two nodes. All of it
# listens on 127.0.0.1 alone and ends with this script (Ctrl-C).
#
#   cargo build --release -p clearlane-cli --features cluster
#   examples/cluster/trial.sh REGISTER KEY_FILE [FOLDER]
set -euo pipefail

register=${1:?usage: trial.sh REGISTER KEY_FILE [FOLDER]}
key_file=${2:?usage: trial.sh REGISTER KEY_FILE [FOLDER]}
folder=${3:-$(mktemp -d)}
clearlane=${CLEARLANE:-target/release/clearlane}
command -v nats-server >/dev/null || { echo "nats-server is missing: apt-get install nats-server" >&2; exit 1; }
mkdir -p "$folder"
trap 'trap - EXIT; kill $(jobs -p) 2>/dev/null; wait' EXIT INT TERM

routes=nats://127.0.0.1:6231,nats://127.0.0.1:6232,nats://127.0.0.1:6233
export CLEARLANE_BROKERS=nats://127.0.0.1:4231,nats://127.0.0.1:4232,nats://127.0.0.1:4233
export CLEARLANE_CLUSTER_KEY_FILE="$folder/cluster.key"
[ -e "$CLEARLANE_CLUSTER_KEY_FILE" ] || "$clearlane" register keygen "$CLEARLANE_CLUSTER_KEY_FILE"

printf 'ping_interval: "1s"\nping_max: 2\n' >"$folder/broker.conf"
for n in 1 2 3; do
  nats-server -c "$folder/broker.conf" -a 127.0.0.1 -p "423$n" --server_name "broker-$n" -js -sd "$folder/broker-$n" \
    --cluster_name trial --cluster "nats://127.0.0.1:623$n" --routes "$routes" >"$folder/broker-$n.log" 2>&1 &
done
sleep 3

"$clearlane" cluster publish --register "$register" --key-file "$key_file" --partitions 3 &
sleep 3
for n in 1 2 3 4 5 6; do
  "$clearlane" node "node-$n" --partitions $(((n - 1) / 2)) --snapshots "$folder/node-$n" &
done
sleep 3

"$clearlane" cluster status || true
echo
echo "logs and snapshots are in $folder; Ctrl-C ends the trial. In another terminal:"
echo "  export CLEARLANE_BROKERS=$CLEARLANE_BROKERS CLEARLANE_CLUSTER_KEY_FILE=$CLEARLANE_CLUSTER_KEY_FILE"
echo "  $clearlane cluster status --watch 1"
echo "  $clearlane lane run QUEUE --policy policies/demonstration.toml --port shenzhen-bay --register lane.db --key-file $key_file"
wait
