package blocks

import (
	"time"

	"github.com/ipfs/go-cid"
)

// LeaseInfo is a lease of this peer's own, as its owner sees it.
type LeaseInfo struct {
	Root     cid.Cid   `json:"cid"`
	Name     string    `json:"name,omitempty"` // of the pin
	ID       LeaseID   `json:"id"`
	State    string    `json:"state"` // active, revoked or expired
	Seq      uint64    `json:"seq"`
	Issued   time.Time `json:"issued"`
	Expires  time.Time `json:"expires"`
	Replicas int       `json:"replicas"` // copies asked for
	Bytes    uint64    `json:"bytes"`    // of all blocks under the root
	Pinned   bool      `json:"pinned"`
	Renews   bool      `json:"renews"`            // by itself, as long as it is pinned here
	Keepers  int       `json:"keepers,omitempty"` // of a change just made: members that have its record
	Told     int       `json:"told,omitempty"`    // of a withdrawal just made: holders that heard of it at once
}

// Info is what l's owner sees of it at now.
func (l Lease) Info(now time.Time) LeaseInfo {
	i := LeaseInfo{Root: l.Root, ID: l.ID(), State: "active", Seq: l.Seq, Issued: l.Issued, Expires: l.Expires, Replicas: l.R, Bytes: l.Bytes}
	switch {
	case l.State == LeaseRevoked:
		i.State = "revoked"
	case !l.Expires.After(now):
		i.State = "expired"
	}
	return i
}

// LeaseOptions is what a lease of a root is to be.
type LeaseOptions struct {
	Expires  time.Duration // from now on; 0 is as long as the last time, of a new one the peer's default
	Replicas int           // copies, 1 to [MaxReplicas]; 0 is as many as so far, of a new one the peer's default
}
