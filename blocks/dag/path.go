package dag

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/boxo/verifcid"
	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

// The limits of a path.
const (
	maxPath     = 4 << 10 // bytes
	maxSegments = 256
	maxIdentity = 128 // bytes of data in a CID
)

// ParsePath reads what somebody gave to name a file: a CID, CID/a/b,
// /ipfs/CID/a/b, ipfs://CID/a/b, or the whole address of a gateway page,
// http://host/ipfs/CID/a/b or http://CID.ipfs.host/a/b. Only the forms that are
// addresses are percent-decoded, and their query and fragment left out. One
// slash at the end is allowed. Everything else is a [blocks.PathError].
func ParsePath(s string) (root cid.Cid, segments []string, err error) {
	p := parser{s: s}
	root, segments, reason := p.path()
	if reason != "" {
		return cid.Undef, nil, &blocks.PathError{Path: s, Offset: p.at, Reason: reason}
	}
	return root, segments, nil
}

// parser reads s from at on. Its methods answer the reason of a failure or "";
// at is then where it was.
type parser struct {
	s   string
	at  int
	url bool // percent-decode
}

func (p *parser) path() (root cid.Cid, segments []string, reason string) {
	if p.s == "" {
		return root, nil, "empty: want a CID"
	}
	if len(p.s) > maxPath {
		p.at = maxPath
		return root, nil, fmt.Sprintf("longer than %d bytes", maxPath)
	}
	if i := strings.IndexByte(p.s, 0); i >= 0 {
		p.at = i
		return root, nil, "a zero byte"
	}
	if reason = p.head(); reason != "" {
		return root, nil, reason
	}
	if root, reason = p.cid(); reason != "" {
		return root, nil, reason
	}
	segments, reason = p.segments()
	return root, segments, reason
}

// head goes to where the CID begins.
func (p *parser) head() string {
	switch {
	case p.eat("/ipfs/"):
	case hasPrefixFold(p.s, "/ipns/"), hasPrefixFold(p.s, "ipns://"):
		return "names are not followed: want a CID"
	case p.eat("ipfs://"):
		p.address()
	case p.eat("http://"), p.eat("https://"):
		p.address()
		return p.gateway()
	}
	return ""
}

// gateway goes from behind http:// to the CID in the host, or to that in the path.
func (p *parser) gateway() string {
	host, _, _ := strings.Cut(p.s[p.at:], "/")
	if label, rest, ok := strings.Cut(host, "."); ok && label != "" && hasPrefixFold(rest, "ipfs.") {
		return ""
	}
	if rest := p.s[p.at+len(host):]; strings.HasPrefix(rest, "/ipfs/") {
		p.at += len(host) + len("/ipfs/")
		return ""
	}
	return "not the address of a gateway page: want http://host/ipfs/CID or http://CID.ipfs.host"
}

// address makes the rest an address: decoded, without query and fragment.
func (p *parser) address() {
	p.url = true
	if i := strings.IndexAny(p.s, "?#"); i >= 0 {
		p.s = p.s[:i]
	}
}

// cid reads the CID at p.at and goes to the end of the part that it stands in.
func (p *parser) cid() (cid.Cid, string) {
	text, _, _ := strings.Cut(p.s[p.at:], "/")
	end := p.at + len(text)
	if label, rest, ok := strings.Cut(text, "."); ok && p.url && hasPrefixFold(rest, "ipfs.") {
		text = label
	}
	if text == "" {
		return cid.Undef, "no CID here"
	}
	c, err := cid.Decode(text)
	if err != nil {
		i, why := strange(text)
		p.at += i
		if why == "" {
			why = strings.TrimPrefix(err.Error(), "invalid cid: ")
		}
		return cid.Undef, "not a CID: " + why
	}
	if pre := c.Prefix(); pre.MhType == mh.IDENTITY && pre.MhLength > maxIdentity {
		return cid.Undef, fmt.Sprintf("a CID with %d bytes of data in it, limit %d", pre.MhLength, maxIdentity)
	}
	if err := verifcid.ValidateCid(verifcid.DefaultAllowlist, c); err != nil {
		return cid.Undef, "a CID that proves nothing: " + err.Error()
	}
	p.at = end
	return c, ""
}

// segments reads /a/b/… to the end.
func (p *parser) segments() (out []string, reason string) {
	for p.at < len(p.s) {
		p.at++ // the slash
		raw, _, more := strings.Cut(p.s[p.at:], "/")
		if raw == "" && !more {
			return out, ""
		}
		if len(out) == maxSegments {
			return nil, fmt.Sprintf("more than %d names", maxSegments)
		}
		name := raw
		if p.url {
			var err error
			if name, err = url.PathUnescape(raw); err != nil {
				return nil, err.Error()
			}
		}
		switch {
		case name == "":
			return nil, "an empty name"
		case name == "." || name == "..":
			return nil, fmt.Sprintf("the name %q is not followed", name)
		case strings.ContainsAny(name, "/\x00"):
			return nil, "a name with a slash or a zero byte in it"
		}
		out = append(out, name)
		p.at += len(raw)
	}
	return out, ""
}

// eat goes past prefix if it stands at the beginning.
func (p *parser) eat(prefix string) bool {
	if !hasPrefixFold(p.s, prefix) {
		return false
	}
	p.at = len(prefix)
	return true
}

// strange finds the character that cannot stand in a CID like text.
func strange(text string) (int, string) {
	alphabet, name := "", ""
	switch {
	case strings.HasPrefix(text, "Qm"), text[0] == 'z':
		alphabet, name = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", "base58"
	case text[0] == 'b':
		alphabet, name = "abcdefghijklmnopqrstuvwxyz234567", "base32"
	default:
		return 0, ""
	}
	for i, r := range text {
		if !strings.ContainsRune(alphabet, r) {
			return i, fmt.Sprintf("%q is not %s", r, name)
		}
	}
	return 0, ""
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
