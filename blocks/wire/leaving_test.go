package wire

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

// broken lends nothing; leave is called first.
type broken struct {
	leave func()
	err   error
}

func (b broken) View(context.Context, mh.Multihash, func([]byte) error) error {
	b.leave()
	return b.err
}

// Who gives up an offer while a block is read for it hears nothing of that block: that it
// could not be read would be taken for a fault of the disk. The control stays, and does hear.
func TestAnOfferThatIsGivenUpCallsNoBlockUnreadable(t *testing.T) {
	for _, leaves := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			from := broken{func() {}, errors.New("the disk is broken")}
			if leaves {
				from = broken{cancel, context.Canceled}
			}
			mem, b := new(blockstest.Mem), blocks.New(cid.Raw, []byte("x"))
			sv := newService(mem, mem, keeper{mem}, Config{})
			near, far := pipe()
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				x := exchange{service: sv, from: "p", l: far}
				_ = x.guarded(context.Background())
			}()
			var told []Ack
			err := newOffering(near, []Item{{Hash: b.Hash(), Size: 1}}, func(_ int, a Ack) { told = append(told, a) }).
				run(ctx, lease(t, b.Cid()), Put, from)
			<-ended
			if (len(told) == 0) != leaves || errors.Is(err, context.Canceled) != leaves {
				t.Errorf("leaves: %t, heard %v, %v", leaves, told, err)
			}
		})
	}
}
