package gateway

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	boxo "github.com/ipfs/boxo/gateway"
	"golang.org/x/sync/semaphore"
)

const (
	blockRoom = 1 << 20          // bytes that a file in hand takes of the memory: one block, as large as most are at most
	tiny      = 64 << 10         // bytes of a file that is not worth counting
	roomTime  = 10 * time.Second // for which a file waits for room
)

// memory is what all files that are being sent may have in hand: three quarters of it for
// the block that each is sending, one quarter for what is asked for ahead, which all share.
type memory struct {
	room    *semaphore.Weighted
	ahead   int64
	readers atomic.Int64
}

func newMemory(bytes int64) *memory {
	return &memory{room: semaphore.NewWeighted(max(blockRoom, bytes/4*3)), ahead: bytes / 4}
}

// enter waits for room for a file of size bytes. leave gives it back; it can be called once.
func (m *memory) enter(ctx context.Context, size int64) (leave func(), err error) {
	weight := min(size, blockRoom)
	if size <= tiny {
		weight = 0
	}
	if weight > 0 {
		soon, cancel := context.WithTimeout(ctx, roomTime)
		err := m.room.Acquire(soon, weight)
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			f := &failure{status: http.StatusTooManyRequests, why: "too many files are being sent: try again soon", asked: -1}
			return nil, boxo.NewErrorStatusCode(requestOf(ctx).fail(f), f.status)
		}
	}
	m.readers.Add(1)
	return func() {
		m.readers.Add(-1)
		if weight > 0 {
			m.room.Release(weight)
		}
	}, nil
}

// share is how much one file may ask for ahead, besides the block it is sending.
func (m *memory) share() int64 { return m.ahead / max(1, m.readers.Load()) }
