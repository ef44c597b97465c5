package replica

import (
	"context"
	"time"
)

// feel asks whether it is likely this peer that is cut off, and not its neighbours that
// died. Copies that are not urgent then wait, for as long as the brake says from the last
// time that it seemed so: what a partition parts it heals, and every copy made meanwhile
// was in vain. A router that cannot tell leaves the brake off.
func (s *Set) feel(ctx context.Context) {
	r, ok := s.router.(interface{ CutOff(context.Context) bool })
	if !ok || s.cfg.Brake < 0 || !r.CutOff(ctx) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if !s.cut.After(now) {
		s.log.Warn("repair waits: this peer seems to be cut off", "for", s.cfg.Brake)
	}
	s.cut = now.Add(s.cfg.Brake)
}

// braked reports whether the brake is on, and until when at least.
func (s *Set) braked() (until time.Time, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cut, s.cut.After(time.Now())
}
