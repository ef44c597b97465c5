package node

import (
	"context"
	"errors"
	"time"

	"github.com/cairn-network/cairn/blocks"
)

// The store is given this much at a time, and so many times at once: enough to share a
// sync and to go on hashing during it, little enough for a put of any size to cost the
// same memory.
const (
	batchBytes  = 8 << 20
	batchBlocks = 512
	batchesOut  = 3
	batchTime   = time.Minute // that the store has for one; a disk that takes longer has failed
)

// batches hands blocks to a store while more of them are made:
//
//	blocks → batch, until it is large enough → the store, on a goroutine → an answer, in order
//
// It is used by one goroutine. Each batch has one of its own, which ends with the
// answer of the store; whoever began must call end.
type batches struct {
	put   func(context.Context, ...blocks.Block) error
	batch []blocks.Block
	bytes int          // of batch
	out   []chan error // one a batch that the store has, the oldest first
}

// add takes b. Its error is of an earlier block.
func (w *batches) add(ctx context.Context, b blocks.Block) error {
	w.batch, w.bytes = append(w.batch, b), w.bytes+len(b.RawData())
	if w.bytes < batchBytes && len(w.batch) < batchBlocks {
		return nil
	}
	return w.send(ctx)
}

// send gives the batch to the store, once there is room for it.
func (w *batches) send(ctx context.Context) (err error) {
	if len(w.batch) == 0 || ctx.Err() != nil {
		return ctx.Err()
	}
	if len(w.out) == batchesOut {
		err = <-w.out[0]
		w.out = w.out[1:]
	}
	if err != nil {
		return err
	}
	done, batch := make(chan error, 1), w.batch
	// The store is not told that the caller has left: a write that it was told to leave
	// alone may be done later, when what was written is being forgotten.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), batchTime)
	go func() { // end waits for it
		defer cancel()
		done <- w.put(ctx, batch...)
	}()
	w.out = append(w.out, done)
	w.batch, w.bytes = nil, 0
	return nil
}

// end waits until the store has answered, and is nil if it has all of the blocks.
func (w *batches) end() error {
	var errs []error
	for _, done := range w.out {
		errs = append(errs, <-done)
	}
	w.out = nil
	return errors.Join(errs...)
}
