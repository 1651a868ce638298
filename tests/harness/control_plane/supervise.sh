# Keeps a folder, and the servers in it, for as long as standard input stays open; then leaves nothing of them behind.
#
#   sh supervise.sh FOLDER [ETCD KUBE-APISERVER [FLAG…]]
#
# Standard input is a pipe whose other end only the test process holds. The kernel closes it however that process
# ends, so this also cleans up after a SIGKILL, when no code of the test runs any more.

folder=$1
shift
servers=

if [ "$#" -gt 0 ]; then
	etcd=$1
	shift
	"$etcd" --config-file "$folder/etcd.json" </dev/null >"$folder/etcd.log" 2>&1 &
	servers=$!
	# kube-apiserver never writes to file descriptor 3: that it is closed tells the test process that the server ended.
	"$@" 3>&1 </dev/null >"$folder/kube-apiserver.log" 2>&1 &
	servers="$servers $!"
fi
exec >/dev/null

read -r _

# What they would do on a polite request, flush and hand over, is for data that somebody wants to keep.
# shellcheck disable=SC2086 # a list of process ids
[ -z "$servers" ] || kill -KILL $servers
wait
# Servers that others started may still write there while they end.
for _ in 1 2 3 4 5 6 7 8 9 10; do
	rm -rf "$folder" 2>/dev/null && break
	sleep 0.2
done
