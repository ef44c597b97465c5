package pubsub

import (
	"time"

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

// Listeners is how many connected peers we know to be in our topic.
func (b *Bus) Listeners() int { return len(b.topic.ListPeers()) }
