package pubsub

import (
	"time"

	gossip "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
)

// What the tests look at from outside.

type Validator = validator

var (
	Open         = open
	Validate     = (*Bus).validate
	NewValidator = newValidator
	Seal         = seal
	ErrIgnored   = errIgnored
)

const Graylist = graylist

func (u Update) Body() []byte { return u.body() }

func (v *validator) Check(data []byte, now time.Time) (Update, error) { return v.check(data, now) }
func (v *validator) Admit(u Update, now time.Time) error              { return v.admit(u, now) }
func (v *validator) Highest(id peer.ID) uint64                        { return v.highest(id) }
func (v *validator) Len() int                                         { return v.authors.Len() }

// InTopic is how many connected peers we know to be in our topic.
func (b *Bus) InTopic() int { return len(b.topic.ListPeers()) }

// Ungated is a bus that takes all that a neighbour says of applications.
func Ungated() gossip.Option {
	return gossip.WithAppSpecificRpcInspector(func(peer.ID, *gossip.RPC) error { return nil })
}

const MaxTopics, MaxListeners, MaxFollowed = maxTopics, maxListeners, maxFollowed
