package dht

import "github.com/libp2p/go-libp2p/core/peer"

// Zone gives the members this peer has met and still counts, those in their grace and
// itself among them: what it takes to tell who is close to a key that is close to it.
func (r *Router) Zone() (ids []peer.ID) {
	serves := r.serves()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.view.at { // in the order of their keys
		if m.met && !m.stranger && (m.id != r.self || serves) {
			ids = append(ids, m.id)
		}
	}
	return ids
}
