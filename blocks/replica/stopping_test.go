package replica

import (
	"bytes"
	"context"
	"log/slog"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
)

// A peer that is told to stop with copies in its queue does not say of each block that it
// cannot be read. The control goes on, and has not got the block.
func TestWhoStopsSaysNothingOfItsBlocks(t *testing.T) {
	for _, stop := range []bool{true, false} {
		var said bytes.Buffer
		mem := new(blockstest.Mem)
		s := New("self", mem, mem, nil, nil, Config{Log: slog.New(slog.NewTextHandler(&said, nil))})
		ctx, cancel := context.WithCancel(t.Context())
		if stop {
			cancel()
		}
		b := blocks.New(cid.Raw, []byte("not here"))
		if stop {
			if err := mem.Put(t.Context(), b); err != nil {
				t.Fatal(err)
			}
		}
		s.calm.push(&task{hash: b.Hash(), to: []peer.ID{"other"}})
		s.carry(ctx, s.calm, s.calm.pop(1))
		cancel()
		if told := bytes.Contains(said.Bytes(), []byte("cannot be read")); told == stop {
			t.Errorf("stops: %t, and said %q", stop, said.String())
		}
	}
}
