package blocks

import (
	"errors"
	"fmt"
	"time"

	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

// SelfKey is the name of the key that is a peer's identity.
const SelfKey = "self"

// KeyInfo is a key that a name can be published with.
type KeyInfo struct {
	Key  string `json:"key"`  // what its owner calls it
	Name string `json:"name"` // what the world calls it: k51...
	Type string `json:"type"` // ed25519
}

// NameOptions is what a publishing may be asked for. The zero value is the default.
type NameOptions struct {
	Lifetime time.Duration // of the record; 0 is the peer's default for leases, at most MaxLeaseTime
	TTL      time.Duration // for which others may do without asking anew; 0 is 5 min
}

// Published is a name's record, and who has it.
type Published struct {
	Name    string    `json:"name"`            // k51...
	Key     string    `json:"key,omitempty"`   // that signed it here
	Value   string    `json:"value"`           // /ipfs/... or /ipns/...
	Seq     uint64    `json:"seq"`             // of the record
	Was     uint64    `json:"was"`             // the number that was known before; 0 is none
	Expires time.Time `json:"expires"`         // of the record
	Peers   int       `json:"peers"`           // other peers that have it on their disk
	Of      int       `json:"of"`              // that were to have it
	DHT     bool      `json:"dht"`             // it stands in the DHT for strangers too
	Error   string    `json:"error,omitempty"` // why no more peers have it
}

// Resolved is what a name stands for.
type Resolved struct {
	Name     string    `json:"name"`               // what was asked for
	Path     string    `json:"path"`               // it leads to
	Seq      uint64    `json:"seq,omitempty"`      // of its record; 0 where there is none, as with DNSLink
	Expires  time.Time `json:"expires,omitzero"`   // of its record
	TTL      Seconds   `json:"ttl,omitempty"`      // for which this may be relied on without asking anew
	Asked    int       `json:"asked,omitempty"`    // holders that answered
	Conflict []string  `json:"conflict,omitempty"` // other values that were signed with the same number: the owner has two minds
}

// KeyError says what is wrong with the name of a key, or with a key.
type KeyError struct {
	Key    string
	Reason string
}

func (e *KeyError) Error() string { return fmt.Sprintf("key %q: %s", e.Key, e.Reason) }

// ErrNoKey says that there is no key of a name here.
var ErrNoKey = errors.New("no such key here")

// NoRecordError says that nobody who was asked knows a record of a name. [IsNotFound]
// holds for it.
type NoRecordError struct {
	Name  string
	Key   mh.Multihash // of the record
	Asked int          // holders that answered
}

func (e *NoRecordError) Error() string {
	return fmt.Sprintf("name %s not found: asked %d peers, none has a record of it", e.Name, e.Asked)
}

func (e *NoRecordError) Unwrap() error { return NotFound(cid.NewCidV1(cid.Raw, e.Key)) }

// RecordError says why a record of a name is not taken.
type RecordError struct {
	Name   string
	Reason string
}

func (e *RecordError) Error() string { return fmt.Sprintf("record of %s: %s", e.Name, e.Reason) }
