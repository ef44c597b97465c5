package fetch

import (
	"context"
	"sync"

	"github.com/cairn-network/cairn/blocks"
)

// flights lets callers that want the same block at the same time share one fetch,
// which ends when the last of them has gone. The zero value is ready.
type flights struct {
	mu sync.Mutex
	m  map[string]*flight // guarded by mu
}

type flight struct {
	done   chan struct{} // closed when b and err are set
	b      blocks.Block
	err    error
	cancel context.CancelFunc
	riders int // guarded by flights.mu
}

// join runs get for key, or waits for the one who does.
func (fs *flights) join(ctx context.Context, key string, get func(context.Context) (blocks.Block, error)) (blocks.Block, error) {
	fs.mu.Lock()
	f := fs.m[key]
	if f == nil {
		if fs.m == nil {
			fs.m = make(map[string]*flight)
		}
		shared, cancel := context.WithCancel(context.WithoutCancel(ctx))
		f = &flight{done: make(chan struct{}), cancel: cancel}
		fs.m[key] = f
		go func() { // ended by cancel, when it has no riders left; waited for on done
			defer cancel()
			f.b, f.err = get(shared)
			fs.mu.Lock()
			if fs.m[key] == f {
				delete(fs.m, key)
			}
			fs.mu.Unlock()
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
			if fs.m[key] == f {
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
