package link

import (
	"sync"
	"time"
)

// burst is what an idle line may pass at once, as time at its rate. It hides that
// timers fire late.
const burst = 10 * time.Millisecond

// bucket lets bytes pass at a rate. It is kept as a debt: whoever takes is served
// when what was taken before has passed.
type bucket struct {
	mu   sync.Mutex
	free time.Time // guarded by mu: when all that was taken will have passed
}

// take takes n bytes at rate and says from when on they may pass.
func (b *bucket) take(n int, rate int64) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if least := time.Now().Add(-burst); b.free.Before(least) {
		b.free = least
	}
	at := b.free
	b.free = at.Add(time.Duration(float64(n) / float64(rate) * float64(time.Second)))
	return at
}

// next is when all that was taken will have passed.
func (b *bucket) next() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.free
}

// piece is how many bytes pass at a time: 20 ms of the rate, so that connections
// take turns.
func piece(rate int64) int {
	const most = 64 << 10
	if rate == 0 {
		return most
	}
	return int(min(max(rate/50, 1), most))
}
