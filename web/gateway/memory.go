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

// enter waits for room for a file of size bytes that will ask for some ahead. leave gives it
// back; it can be called once.
func (m *memory) enter(ctx context.Context, size int64) (leave func(), err error) {
	release, err := m.hold(ctx, size)
	if err != nil {
		return nil, err
	}
	m.readers.Add(1)
	return func() {
		m.readers.Add(-1)
		release()
	}, nil
}

// hold waits for room for a block, or for that of a file of size bytes which is being sent.
func (m *memory) hold(ctx context.Context, size int64) (leave func(), err error) {
	if size <= tiny {
		return func() {}, nil
	}
	weight := min(size, blockRoom)
	soon, cancel := context.WithTimeout(ctx, roomTime)
	defer cancel()
	err = m.room.Acquire(soon, weight)
	switch {
	case ctx.Err() != nil:
		if err == nil {
			m.room.Release(weight)
		}
		return nil, ctx.Err()
	case err != nil:
		f := &failure{status: http.StatusTooManyRequests, why: "too many files are being sent: try again soon", asked: -1}
		return nil, boxo.NewErrorStatusCode(requestOf(ctx).fail(f), f.status)
	}
	return func() { m.room.Release(weight) }, nil
}

// share is how much one file may ask for ahead, besides the block it is sending.
func (m *memory) share() int64 { return m.ahead / max(1, m.readers.Load()) }
