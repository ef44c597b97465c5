package fetch

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ipfs/boxo/bitswap/message"
	"github.com/ipfs/boxo/bitswap/network"
	"github.com/ipfs/boxo/bitswap/network/bsnet"
	"github.com/ipfs/boxo/bitswap/server"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/cairn-network/cairn/blocks"
)

// What one stranger may take of this process.
const (
	swapWants   = 1024    // wants kept for one peer; what is more important displaces the rest
	swapBytes   = 1 << 20 // on their way to one peer
	swapReaders = 8       // blocks read from the store at a time, for all peers together
	swapSenders = 8       // messages sent at a time, for all peers together
)

// swapIDs are the names under which bitswap is spoken.
var swapIDs = []protocol.ID{bsnet.ProtocolBitswap, bsnet.ProtocolBitswapOneOne, bsnet.ProtocolBitswapOneZero, bsnet.ProtocolBitswapNoVers}

// BitswapConfig is what an operator may set. The zero value is for production.
type BitswapConfig struct {
	Own     protocol.ID        // who speaks this is no stranger, and is not asked; empty: everybody is one
	Denied  func(cid.Cid) bool // says what is given to nobody; nil: nothing
	Timeout time.Duration      // for strangers to give one block; 0 is 10 s
	Hedge   time.Duration      // before the next one who has a block is asked for it as well; 0 is 2 s
	Most    int                // strangers asked for one block; 0 is 32
	Log     *slog.Logger       // nil discards
}

func (c BitswapConfig) withDefaults() BitswapConfig {
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Hedge == 0 {
		c.Hedge = 2 * time.Second
	}
	if c.Most == 0 {
		c.Most = 32
	}
	if c.Denied == nil {
		c.Denied = func(cid.Cid) bool { return false }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Bitswap is how blocks go to and come from the rest of the IPFS world:
//
//	a stranger wants a block → is it here, and not denied? → boxo's server, within limits → block
//	[Bitswap.Get] → who has it? (connected strangers) → the first that has → block → check
//
// Everybody who is connected is served. Only strangers are asked, who speak bitswap and not
// our own protocol: ours were asked by that before. boxo's client broadcasts a want
// without asking for a no, so that what nobody has costs it the whole deadline; the
// questions here are its messages, each answered yes or no.
//
// The server's goroutines begin with [NewBitswap] and end with [Bitswap.Close]. It is
// boxo's, so it logs through go-log.
type Bitswap struct {
	host   host.Host
	net    network.BitSwapNetwork
	server *server.Server
	cfg    BitswapConfig

	sends sync.WaitGroup // messages on their way
	slots chan struct{}  // one for each of them
	in    atomic.Int64   // bytes of blocks that came

	mu    sync.Mutex
	wants map[string]map[*want]bool // guarded by mu: by multihash
	giver peer.ID                   // guarded by mu: who gave a block last
}

// NewBitswap serves what is in st to who is connected to h. Close it before h.
func NewBitswap(h host.Host, st blocks.Store, cfg BitswapConfig) *Bitswap {
	cfg = cfg.withDefaults()
	s := &Bitswap{host: h, cfg: cfg, net: bsnet.NewFromIpfsHost(h),
		slots: make(chan struct{}, 64), wants: map[string]map[*want]bool{}}
	s.server = server.New(context.Background(), s.net, Blockstore{st}, // Close ends it
		server.EngineBlockstoreWorkerCount(swapReaders),
		server.EngineTaskWorkerCount(swapSenders),
		server.TaskWorkerCount(swapSenders),
		server.MaxOutstandingBytesPerPeer(swapBytes),
		server.MaxQueuedWantlistEntriesPerPeer(swapWants),
		server.WithPeerBlockRequestFilter(func(_ peer.ID, c cid.Cid) bool { return !cfg.Denied(c) }),
	)
	s.net.Start(s)
	return s
}

// Close serves no more and waits for what is being sent, some seconds at most.
func (s *Bitswap) Close() error {
	for _, id := range swapIDs {
		s.host.RemoveStreamHandler(id)
	}
	s.net.Stop()
	s.server.Close()
	s.sends.Wait()
	return nil
}

// Received is how many bytes of blocks strangers gave.
func (s *Bitswap) Received() int64 { return s.in.Load() }

// Sent is how many bytes of blocks others were given.
func (s *Bitswap) Sent() int64 {
	st, err := s.server.Stat()
	if err != nil {
		return 0
	}
	return int64(st.DataSent)
}

// ReceiveMessage is network.Receiver's: answers are for who waits, questions for the server.
func (s *Bitswap) ReceiveMessage(ctx context.Context, p peer.ID, m message.BitSwapMessage) {
	s.answered(p, m)
	s.server.ReceiveMessage(ctx, p, m)
}

// ReceiveError is network.Receiver's.
func (s *Bitswap) ReceiveError(err error) { s.cfg.Log.Debug("bitswap: bad message", "err", err) }

// PeerConnected is network.Receiver's.
func (s *Bitswap) PeerConnected(p peer.ID) { s.server.PeerConnected(p) }

// PeerDisconnected is network.Receiver's: who is gone gives nothing.
func (s *Bitswap) PeerDisconnected(p peer.ID) {
	s.gone(p)
	s.server.PeerDisconnected(p)
}
