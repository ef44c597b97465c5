package dag

import (
	"net/url"
	"strings"

	"github.com/cairn-network/cairn/blocks"
)

// maxNameText is the limit of a name in bytes: that of a domain name.
const maxNameText = 253

// SplitName takes apart what leads through a name: /ipns/NAME/a/b, ipns://NAME/a/b, or the
// whole address of a gateway page, http://host/ipns/NAME/a/b or http://NAME.ipns.host/a/b.
// named is false for everything else, which is [ParsePath]'s; what is wrong with a path of
// these forms is a [blocks.PathError]. NAME is the text of a key or a domain name, and is
// not judged.
func SplitName(s string) (name string, segments []string, named bool, err error) {
	p := parser{s: s}
	if len(s) > maxPath || strings.IndexByte(s, 0) >= 0 || !p.named() {
		return "", nil, false, nil
	}
	bad := func(reason string) (string, []string, bool, error) {
		return "", nil, true, &blocks.PathError{Path: s, Offset: p.at, Reason: reason}
	}
	name, _, _ = strings.Cut(p.s[p.at:], "/")
	end := p.at + len(name)
	if p.url {
		if label, rest, ok := strings.Cut(name, "."); ok && hasPrefixFold(rest, "ipns.") {
			name = label
			if !strings.HasPrefix(name, "k51") && !strings.HasPrefix(name, "k2k4") { // a domain name in one label
				name = strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(name, "--", "\x00"), "-", "."), "\x00", "-")
			}
		} else if name, err = url.PathUnescape(name); err != nil {
			return bad(err.Error())
		}
	}
	switch {
	case name == "":
		return bad("no name here")
	case len(name) > maxNameText:
		return bad("a name that is too long")
	case strings.ContainsAny(name, "/\x00 "):
		return bad("no name")
	}
	p.at = end
	segments, reason := p.segments()
	if reason != "" {
		return bad(reason)
	}
	return name, segments, true, nil
}

// named goes to where a name begins, if that is what stands there.
func (p *parser) named() bool {
	switch {
	case p.eat("/ipns/"):
		return true
	case p.eat("ipns://"):
		p.address()
		return true
	case p.eat("http://"), p.eat("https://"):
		p.address()
		host, _, _ := strings.Cut(p.s[p.at:], "/")
		if label, rest, ok := strings.Cut(host, "."); ok && label != "" && hasPrefixFold(rest, "ipns.") {
			return true
		}
		if strings.HasPrefix(p.s[p.at+len(host):], "/ipns/") {
			p.at += len(host) + len("/ipns/")
			return true
		}
	}
	return false
}
