package gateway

import (
	"net/url"
	"strings"

	"github.com/ipfs/go-cid"
)

// allowed is the set of names a Host may have: the defence against a page whose
// name was made to resolve to this machine. web/api has the same few lines, as
// neither may import the other; a test of package web holds them together.
func allowed(more []string) map[string]bool {
	set := map[string]bool{"localhost": true, "127.0.0.1": true, "::1": true}
	for _, h := range more {
		if name := hostname(h); name != "" {
			set[name] = true
		}
	}
	return set
}

// hostname is a Host without its port, in lower case.
func hostname(host string) string { return strings.ToLower((&url.URL{Host: host}).Hostname()) }

// ownOrigin reports whether host is that of one CID: CID.ipfs.localhost, which
// names no other machine. The CID is one label, so in a base without capitals.
func ownOrigin(host string) bool {
	label, ok := strings.CutSuffix(hostname(host), ".ipfs.localhost")
	if !ok {
		return false
	}
	_, err := cid.Decode(label)
	return err == nil
}
