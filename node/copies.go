package node

import (
	"sync"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
)

// maxSightings bounds the roots of which it is remembered how many copies they had.
const maxSightings = 4096

// sightings are how many live copies the worst-kept block of a root had when somebody last
// asked, or when it was put.
type sightings struct {
	mu sync.Mutex
	m  map[string]int // guarded by mu: by multihash
}

func newSightings() *sightings { return &sightings{m: map[string]int{}} }

// note remembers least of root, in the place of any other if there are too many.
func (s *sightings) note(root cid.Cid, least int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := string(root.Hash())
	if _, ok := s.m[key]; !ok && len(s.m) >= maxSightings {
		for other := range s.m {
			delete(s.m, other)
			break
		}
	}
	s.m[key] = least
}

// Asked says who was asked so far for c, while it is looked for. It asks nobody.
func (n *Node) Asked(c cid.Cid) []peer.ID { return n.fetch.Asked(c) }

// Copies is how many live copies the worst-kept block under root had when this peer
// last put it or asked for its health, and whether it ever did. It asks nobody.
func (n *Node) Copies(root cid.Cid) (least int, known bool) {
	n.seen.mu.Lock()
	defer n.seen.mu.Unlock()
	least, known = n.seen.m[string(root.Hash())]
	return least, known
}
