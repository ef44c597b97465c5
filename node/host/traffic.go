package host

import (
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/metrics"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// Traffic counts the bytes of all of a host's streams: what protocols sent and
// received, before encryption. The zero value is ready for [Config]. It counts
// nothing by peer or protocol, which libp2p's own counter does at the price of a
// goroutine and of figures that are a second old.
type Traffic struct{ in, out atomic.Int64 }

var _ metrics.Reporter = (*Traffic)(nil)

// Received is how many bytes came in.
func (t *Traffic) Received() int64 { return t.in.Load() }

// Sent is how many bytes went out.
func (t *Traffic) Sent() int64 { return t.out.Load() }

// LogSentMessage counts n bytes out.
func (t *Traffic) LogSentMessage(n int64) { t.out.Add(n) }

// LogRecvMessage counts n bytes in.
func (t *Traffic) LogRecvMessage(n int64) { t.in.Add(n) }

// LogSentMessageStream counts nothing: LogSentMessage has.
func (t *Traffic) LogSentMessageStream(int64, protocol.ID, peer.ID) {}

// LogRecvMessageStream counts nothing: LogRecvMessage has.
func (t *Traffic) LogRecvMessageStream(int64, protocol.ID, peer.ID) {}

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
func (t *Traffic) Reset() { t.in.Store(0); t.out.Store(0) }

// TrimIdle has nothing to forget.
func (t *Traffic) TrimIdle(time.Time) {}
