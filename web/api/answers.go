package api

import (
	"fmt"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
)

// The types of the lines that answer a put, in the order they come.
const (
	LineJob     = "job"     // once, at once
	LineStatus  = "status"  // as often as there is something to say, and as a sign of life
	LineSummary = "summary" // last: all that was waited for is done
	LineError   = "error"   // last, in place of a summary
)

// JobLine names the job of a put. It comes before the file has been read.
type JobLine struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

// StatusLine is how far a put has got.
type StatusLine struct {
	Type string `json:"type"`
	blocks.Progress
}

// SummaryLine is the end of a put that reached what was waited for.
type SummaryLine struct {
	Type string `json:"type"`
	Receipt
}

// ErrorLine is the end of a put that did not. With [CodeShort] the file is kept
// by the peer that was asked, and the receipt says how.
type ErrorLine struct {
	Type    string   `json:"type"`
	Code    string   `json:"code"`
	Message string   `json:"message"`
	Hint    string   `json:"hint,omitempty"`
	Receipt *Receipt `json:"receipt,omitempty"`

	Import *Imported `json:"import,omitempty"` // of an import with [CodeShort]
}

// Receipt is a blocks.Receipt whose CID is written as a string; the CID's own
// JSON is an object.
type Receipt struct {
	CID string `json:"cid"`
	blocks.Receipt
}

// NewReceipt makes r ready to be written.
func NewReceipt(r blocks.Receipt) Receipt { return Receipt{text(r.Root), r} }

// Parse undoes NewReceipt.
func (r Receipt) Parse() (blocks.Receipt, error) {
	var err error
	r.Root, err = parse(r.CID)
	return r.Receipt, err
}

// Health is a blocks.Health whose CIDs are written as strings, and its sentence.
type Health struct {
	CID      string       `json:"cid"`
	Sentence string       `json:"sentence"`
	Key      string       `json:"key"`    // of the root: its place on the ring of keys, in hexadecimal
	Places   []Place      `json:"places"` // of the holders
	Detail   []BlockCount `json:"detail,omitempty"`
	blocks.Health
}

// Place is where a holder stands on the ring of keys.
type Place struct {
	ID     string `json:"id"`
	Key    string `json:"key"`              // in hexadecimal
	Blocks int    `json:"blocks,omitempty"` // it has; 0: not asked for, see Detail
}

// BlockCount is one block of a Health.
type BlockCount struct {
	CID string `json:"cid"`
	blocks.BlockCount
}

// NewHealth makes h ready to be written.
func NewHealth(h blocks.Health) Health {
	out := Health{CID: text(h.Root), Sentence: h.Sentence(), Health: h}
	has := map[peer.ID]int{}
	for _, b := range h.Detail {
		for _, p := range b.Holders {
			has[p]++
		}
		b.Holders = list(b.Holders)
		out.Detail = append(out.Detail, BlockCount{text(b.CID), b})
	}
	if h.Root.Defined() {
		out.Key = keyText(h.Root.Hash())
	}
	out.Places = []Place{}
	for _, p := range h.Holders {
		out.Places = append(out.Places, Place{p.String(), keyText([]byte(p)), has[p]})
	}
	out.Holders, out.Copies = list(h.Holders), list(h.Copies)
	return out
}

// Parse undoes NewHealth.
func (h Health) Parse() (out blocks.Health, err error) {
	out = h.Health
	if out.Root, err = parse(h.CID); err != nil {
		return out, err
	}
	for _, b := range h.Detail {
		if b.BlockCount.CID, err = parse(b.CID); err != nil {
			return out, err
		}
		out.Detail = append(out.Detail, b.BlockCount)
	}
	return out, nil
}

// Version says what a peer runs.
type Version struct {
	Version string `json:"version"`
	Agent   string `json:"agent"`
	Go      string `json:"go"`
	API     string `json:"api"` // v1
}

// Ready says whether a peer can be used. State and Peers are told to those with
// the token who ask for them.
type Ready struct {
	Ready bool   `json:"ready"`
	State string `json:"state,omitempty"`
	Peers *int   `json:"peers,omitempty"`
}

func text(c cid.Cid) string {
	if !c.Defined() {
		return ""
	}
	return c.String()
}

func parse(s string) (cid.Cid, error) {
	if s == "" {
		return cid.Undef, nil
	}
	c, err := cid.Decode(s)
	if err != nil {
		return cid.Undef, fmt.Errorf("api: cid %q: %w", s, err)
	}
	return c, nil
}

// list makes nil an empty JSON array.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
