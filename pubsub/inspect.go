package pubsub

import (
	"crypto/sha256"
	"errors"

	gossip "github.com/libp2p/go-libp2p-pubsub"
	rpc "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"
)

// errSigned marks a message on a topic of ours that names an author outside of its envelope.
var errSigned = errors.New("signed as messages of applications are")

// plain reports whether m has what messages on our own topics have: neither author nor
// signature beside the data.
func plain(m *rpc.Message) bool {
	return m.From == nil && m.Seqno == nil && m.Key == nil && m.Signature == nil
}

// messageID tells messages from each other. Gossipsub remembers an id before our validators
// are asked, so what they refuse must not share one with what they take: on our own topics it
// is the digest of the data, on those of applications, as with StrictSign elsewhere, the author
// and its number. Those are vouched for by the signature, and of another length than a digest.
func messageID(m *rpc.Message) string {
	signed := m.Signature != nil && len(m.From) > 0
	if signed && forApps(m.GetTopic()) {
		return gossip.DefaultMsgIdFn(m)
	}
	id := sha256.Sum256(m.GetData())
	if plain(m) && !forApps(m.GetTopic()) {
		return string(id[:])
	}
	return "refused " + string(id[:])
}

// inspect takes out of what a neighbour sends those messages of applications that are too
// many, before anything is spent on their signatures: nothing that floods a topic keeps our
// own updates out of the queue in which they wait to be judged.
func (a *apps) inspect(from peer.ID, in *gossip.RPC) error {
	all := in.GetPublish()
	kept := all[:0]
	for _, m := range all {
		if !forApps(m.GetTopic()) || a.may(a.next, from, nextEvery, nextSurge) {
			kept = append(kept, m)
		}
	}
	clear(all[len(kept):])
	if len(all) > 0 {
		in.Publish = kept
	}
	return nil
}
