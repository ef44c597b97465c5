package host_test

import (
	"testing"

	"github.com/cairn-network/cairn/node/host"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// Every message is counted once in all, and once in its protocol's family.
func TestTrafficIsToldApart(t *testing.T) {
	var tr host.Traffic
	ids := map[protocol.ID]host.Family{
		"": host.Other, "/cairn/bench/1.0.0": host.Other, "/x/blocks/": host.Other, "/cairn/blocks/1.0.0": host.Blocks,
		"/cairn/sync/1.0.0": host.Sync, "/cairn/view/1.0.0": host.View, "/cairn/main/kad/1.0.0": host.Kad, "/cairn/kad/1.0.0": host.Other,
		"/meshsub/1.2.0": host.Gossip, "/ipfs/id/1.0.0": host.Identify, "/ipfs/id/push/1.0.0": host.Identify, "/ipfs/bitswap/1.2.0": host.Bitswap,
	}
	want, n := map[host.Family]int64{}, int64(1)
	for id, f := range ids {
		tr.LogSentMessageStream(n, id, "p")
		tr.LogRecvMessageStream(2*n, id, "p")
		want[f] += n
		n *= 3
	}
	for _, f := range host.Families() {
		if in, out := tr.Of(f); out != want[f] || in != 2*out {
			t.Errorf("%s: %d in, %d out, want %d out", f, in, out, want[f])
		}
	}
	if tr.Sent() != 0 || tr.Received() != 0 {
		t.Error("streams are counted twice")
	}
	tr.Reset()
	if in, out := tr.Of(host.Blocks); in+out != 0 {
		t.Errorf("%d, %d after a reset", in, out)
	}
}
