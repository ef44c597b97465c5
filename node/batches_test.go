package node_test

import (
	"context"
	"encoding/binary"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/node"
	"github.com/ipfs/go-cid"
)

// numbered is the block i of 1 MiB.
func numbered(i int) blocks.Block {
	b := make([]byte, 1<<20)
	binary.BigEndian.PutUint64(b, uint64(i))
	return blocks.New(cid.Raw, b)
}

func TestBlocksAreMadeWhileTheStoreSyncs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var begun atomic.Int64
		sync := make(chan struct{})
		put := func(context.Context, ...blocks.Block) error {
			begun.Add(1)
			<-sync
			return nil
		}
		add, end := node.Batches(put)
		made := 0
		go func() { // ends when the store has answered
			for ; made < 64; made++ {
				if err := add(t.Context(), numbered(made)); err != nil {
					t.Error(err)
				}
			}
			if err := end(); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		if begun.Load() != 3 || made != 31 {
			t.Errorf("%d batches are at a store that does not answer, and %d blocks were made: want 3 and 31", begun.Load(), made)
		}
		close(sync)
		synctest.Wait()
		if made != 64 {
			t.Errorf("%d blocks were made when the store answers", made)
		}
	})
}

func TestABatchThatFailsEndsThePutAndNobodyIsLeftWriting(t *testing.T) {
	broken := errors.New("the disk is broken")
	calls := make(chan int, 100)
	add, end := node.Batches(func(_ context.Context, bs ...blocks.Block) error {
		calls <- len(bs)
		return broken
	})
	var err error
	n := 0
	for ; err == nil && n < 1000; n++ {
		err = add(t.Context(), numbered(n))
	}
	if !errors.Is(err, broken) || n > 4*8 {
		t.Errorf("%v after %d blocks", err, n)
	}
	if err := end(); !errors.Is(err, broken) {
		t.Errorf("the end says %v", err)
	}
	if len(calls) != 3 {
		t.Errorf("%d batches were sent", len(calls))
	}
}
