package host

import (
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/metrics"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// Traffic counts the bytes of all of a host's streams: what protocols sent and
// received, before encryption, in all and by [Family]. The zero value is ready for
// [Config]. It counts nothing by peer or by whatever name a protocol has, which libp2p's
// own counter does at the price of a goroutine and of figures that are a second old.
type Traffic struct {
	in, out atomic.Int64
	each    [families]struct{ in, out atomic.Int64 }
}

var _ metrics.Reporter = (*Traffic)(nil)

// Received is how many bytes came in.
func (t *Traffic) Received() int64 { return t.in.Load() }

// Sent is how many bytes went out.
func (t *Traffic) Sent() int64 { return t.out.Load() }

// Of is how many bytes the protocols of f have received and sent.
func (t *Traffic) Of(f Family) (in, out int64) { return t.each[f].in.Load(), t.each[f].out.Load() }

// LogSentMessage counts n bytes out.
func (t *Traffic) LogSentMessage(n int64) { t.out.Add(n) }

// LogRecvMessage counts n bytes in.
func (t *Traffic) LogRecvMessage(n int64) { t.in.Add(n) }

// LogSentMessageStream counts n bytes out for the protocol's family.
func (t *Traffic) LogSentMessageStream(n int64, id protocol.ID, _ peer.ID) {
	t.each[familyOf(id)].out.Add(n)
}

// LogRecvMessageStream counts n bytes in for the protocol's family.
func (t *Traffic) LogRecvMessageStream(n int64, id protocol.ID, _ peer.ID) {
	t.each[familyOf(id)].in.Add(n)
}

// GetBandwidthTotals gives the totals, without rates.
func (t *Traffic) GetBandwidthTotals() metrics.Stats {
	return metrics.Stats{TotalIn: t.Received(), TotalOut: t.Sent()}
}

// GetBandwidthForPeer is not counted.
func (t *Traffic) GetBandwidthForPeer(peer.ID) (s metrics.Stats) { return s }

// GetBandwidthForProtocol is not counted.
func (t *Traffic) GetBandwidthForProtocol(protocol.ID) (s metrics.Stats) { return s }

// GetBandwidthByPeer is not counted.
func (t *Traffic) GetBandwidthByPeer() map[peer.ID]metrics.Stats { return nil }

// GetBandwidthByProtocol is not counted.
func (t *Traffic) GetBandwidthByProtocol() map[protocol.ID]metrics.Stats { return nil }

// Reset starts from nothing.
func (t *Traffic) Reset() {
	t.in.Store(0)
	t.out.Store(0)
	for i := range t.each {
		t.each[i].in.Store(0)
		t.each[i].out.Store(0)
	}
}

// TrimIdle has nothing to forget.
func (t *Traffic) TrimIdle(time.Time) {}
