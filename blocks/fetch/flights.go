package fetch

import (
	"context"
	"sync"

	"github.com/cairn-network/cairn/blocks"
)

// keeping is how many blocks may be on their way to the disk. They are in memory twice while
// they are written: with 64 a get of 4 GiB on a busy machine took 245 MB.
const keeping = 32

// flights lets callers that want the same block at the same time share one fetch,
// which ends when the last of them has gone.
type flights struct {
	keeping chan struct{}  // a slot for each block on its way to the disk
	landing sync.WaitGroup // those that keep what they brought

	mu sync.Mutex
	m  map[string]*flight // guarded by mu
}

type flight struct {
	done   chan struct{} // closed when b and err are set
	landed bool          // guarded by flights.mu: b is set, and being kept
	b      blocks.Block
	err    error
	cancel context.CancelFunc
	riders int // guarded by flights.mu
}

// join runs get for key, or waits for the one who does. Unless it is nil, keep is called
// with what get has brought; the flight can be joined until it answers.
func (fs *flights) join(ctx context.Context, key string, get func(context.Context) (blocks.Block, error), keep func(blocks.Block)) (blocks.Block, error) {
	fs.mu.Lock()
	f := fs.m[key]
	if f == nil {
		shared, cancel := context.WithCancel(context.WithoutCancel(ctx))
		f = &flight{done: make(chan struct{}), cancel: cancel}
		fs.m[key] = f
		go func() { // ended by cancel, when it has no riders left; waited for on done
			defer cancel()
			f.b, f.err = get(shared)
			if keep != nil && f.err == nil && fs.land(shared, f) {
				defer fs.landing.Done()
				close(f.done)
				keep(f.b)
				<-fs.keeping
				fs.leave(key, f)
				return
			}
			fs.leave(key, f)
			close(f.done)
		}()
	}
	f.riders++
	fs.mu.Unlock()
	defer func() {
		fs.mu.Lock()
		defer fs.mu.Unlock()
		if f.riders--; f.riders == 0 {
			f.cancel()
			if fs.m[key] == f && !f.landed {
				delete(fs.m, key)
			}
		}
	}()
	select {
	case <-f.done:
		return f.b, f.err
	case <-ctx.Done():
		return blocks.Block{}, ctx.Err()
	}
}

// land waits until what f has brought may go to the disk. It answers false when nobody
// waits for f any more.
func (fs *flights) land(ctx context.Context, f *flight) bool {
	select {
	case fs.keeping <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f.landed = true
	fs.landing.Add(1)
	return true
}

func (fs *flights) leave(key string, f *flight) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.m[key] == f {
		delete(fs.m, key)
	}
}

// has reports whether a flight with key is on its way.
func (fs *flights) has(key string) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.m[key] != nil
}
