package blocks

import (
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Job is a put whose journal is open: not every block has all copies yet that the
// network can hold. It goes on by itself, also after a restart.
type Job struct {
	Root     cid.Cid
	Name     string
	Size     int64     // bytes of its files
	Began    time.Time // when it was put
	Active   bool      // its blocks are being brought to their holders now; else it waits for its turn
	Progress Progress  // as far as is known since this peer started
	Failed   []Failure // what the holders that failed it said last
}

// Failure is what a holder said last, or why it could not be asked.
type Failure struct {
	Peer peer.ID // "" is this peer itself, or nobody in particular
	Err  error
}
