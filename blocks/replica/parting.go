package replica

import (
	"github.com/cairn-network/cairn/blocks/wire"
	mh "github.com/multiformats/go-multihash"
)

// Two that let go of a block at the same time, each because the other proves to hold it, would
// both be gone. So who may let go says so before it asks, in its own proofs:
//
//	I may go → who proves to stay? → r do → gone
//	         → too few do          → I stay
//
// Of any number at it at the same time the last one that asked has heard of r that stay: they
// had not begun, and who begins later does not count on it.

var _ wire.Parter = (*Set)(nil)

// parting notes that cs may be let go from now on, until the function it gives is called.
func (s *Set) parting(cs []*spared) (over func()) {
	note := func(by int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, c := range cs {
			if s.parts[string(c.hash)] += by; s.parts[string(c.hash)] == 0 {
				delete(s.parts, string(c.hash))
			}
		}
	}
	note(1)
	return func() { note(-1) }
}

// Parts implements wire.Parter.
func (s *Set) Parts(h mh.Multihash) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.parts[string(h)] > 0
}
