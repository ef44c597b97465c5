package deny

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

// key is what a rule is found by: a hash, so that each takes the same little space.
type key [16]byte

// What a key is made of.
const (
	ofBlock  = 'b' // a multihash
	ofPath   = 'p' // a root and a path below it
	ofName   = 'n' // a name
	ofPrefix = 'x' // a root or name and how the paths begin
	ofDouble = 'd' // a multihash that a rule is given as
	ofLegacy = 'l' // a SHA-256 of text
)

func keyOf(kind byte, parts ...string) (k key) {
	h := sha256.New()
	h.Write([]byte{kind})
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0}) // no part has one
	}
	copy(k[:], h.Sum(nil))
	return k
}

// rule is one line of a list: what a key stands for, and when it was said.
type rule struct {
	key
	n     uint32 // its place among all rules
	allow bool
}

// rules are those of all files of a list, to be looked up.
type rules struct {
	sorted   []rule         // by key, each of which stands there once: the last word
	codes    []uint64       // the hash functions of double hashes
	legacy   bool           // there are rules by SHA-256 of text
	prefixes map[string]int // roots and names for which there are rules with *, and the longest of those
}

// finish makes rs ready to be looked up.
func (r *rules) finish() {
	slices.SortFunc(r.sorted, func(a, b rule) int {
		return cmp.Or(strings.Compare(string(a.key[:]), string(b.key[:])), cmp.Compare(b.n, a.n))
	})
	r.sorted = slices.Clip(slices.CompactFunc(r.sorted, func(a, b rule) bool { return a.key == b.key }))
	slices.Sort(r.codes)
	r.codes = slices.Compact(r.codes)
}

// verdict is the last word that was found on something.
type verdict struct {
	n     uint32
	found bool
	allow bool
}

func (r *rules) look(v *verdict, k key) {
	i, ok := slices.BinarySearchFunc(r.sorted, k, func(a rule, k key) int { return strings.Compare(string(a.key[:]), string(k[:])) })
	if !ok {
		return
	}
	if got := r.sorted[i]; !v.found || got.n > v.n {
		*v = verdict{got.n, true, got.allow}
	}
}

// double looks for rules that are given as hashes of text.
func (r *rules) double(v *verdict, text string) {
	for _, code := range r.codes {
		if sum, err := mh.Sum([]byte(text), code, -1); err == nil {
			r.look(v, keyOf(ofDouble, hex.EncodeToString(sum)))
		}
	}
}

// older looks for rules that are given as SHA-256 of text, as older lists do.
func (r *rules) older(v *verdict, text string) {
	if r.legacy {
		sum := sha256.Sum256([]byte(text))
		r.look(v, keyOf(ofLegacy, hex.EncodeToString(sum[:])))
	}
}

// spelt are the codecs under which older lists may name a block: that it is asked for
// under another is no way around them.
func spelt(c cid.Cid) []uint64 {
	all := []uint64{cid.DagProtobuf, cid.Raw, cid.DagCBOR, cid.Libp2pKey}
	if !slices.Contains(all, c.Type()) {
		all = append(all, c.Type())
	}
	return all
}

// block looks for what is said of c.
func (r *rules) block(v *verdict, c cid.Cid) {
	hash := string(c.Hash())
	r.look(v, keyOf(ofBlock, hash))
	if len(r.codes) > 0 {
		r.double(v, c.Hash().B58String())
	}
	if r.legacy {
		for _, codec := range spelt(c) {
			r.older(v, cid.NewCidV1(codec, c.Hash()).String()+"/")
		}
	}
}

// below looks for what is said of rest under root, of which own are the spellings in
// double hashes and old those in older lists.
func (r *rules) below(v *verdict, root, rest string, own, old []string) {
	r.look(v, keyOf(ofPath, root, rest))
	if longest, ok := r.prefixes[root]; ok {
		for i := 0; i <= min(len(rest), longest); i++ {
			r.look(v, keyOf(ofPrefix, root, rest[:i]))
		}
	}
	for _, s := range own {
		r.double(v, s+"/"+rest)
	}
	for _, s := range old {
		r.older(v, s+"/"+rest)
	}
}

// path looks for what is said of a path under /ipfs or /ipns.
func (r *rules) path(v *verdict, space, name, rest string) {
	rest = strings.Trim(rest, "/")
	if c, err := decode(name); err == nil {
		root := space + string(c.Hash())
		if space == "ipfs" {
			r.block(v, c)
		} else {
			r.look(v, keyOf(ofName, string(c.Hash())))
			r.double(v, c.Hash().B58String())
			r.older(v, cid.NewCidV1(cid.Libp2pKey, c.Hash()).String()+"/")
		}
		var old []string
		if r.legacy {
			for _, codec := range spelt(c) {
				old = append(old, cid.NewCidV1(codec, c.Hash()).String())
			}
		}
		if rest != "" || len(r.prefixes) > 0 {
			r.below(v, root, rest, []string{c.Hash().B58String()}, old)
		}
		return
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	r.look(v, keyOf(ofName, name))
	r.double(v, "/ipns/"+name)
	r.older(v, name+"/")
	r.below(v, space+name, rest, []string{"/ipns/" + name}, []string{name})
}

// decode reads a CID, or a multihash in base58 as names have it.
func decode(s string) (cid.Cid, error) {
	if c, err := cid.Decode(s); err == nil {
		return c, nil
	}
	h, err := mh.FromB58String(s)
	if err != nil {
		return cid.Undef, err
	}
	return cid.NewCidV1(cid.Raw, h), nil
}
