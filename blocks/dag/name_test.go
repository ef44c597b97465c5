package dag_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/cairn-network/cairn/blocks/dag"
)

func TestPathsThatBeginWithANameAreTakenApart(t *testing.T) {
	const k = "k51qzi5uqu5dk3v4rmjber23h16xnr23bsggmqqil9z2gduiis5se8dht36dam"
	for _, c := range []struct {
		in, name string
		segments []string
	}{
		{"/ipns/" + k, k, nil},
		{"/ipns/" + k + "/", k, nil},
		{"/IPNS/" + k + "/a%20b/c", k, []string{"a%20b", "c"}},
		{"ipns://" + k + "/a%20b?x#y", k, []string{"a b"}},
		{"ipns://docs.example.com/a", "docs.example.com", []string{"a"}},
		{"http://127.0.0.1:8180/ipns/" + k + "/a?format=raw", k, []string{"a"}},
		{"http://" + k + ".ipns.localhost:8180/a", k, []string{"a"}},
		{"http://docs--v1-example-com.ipns.localhost/", "docs-v1.example.com", nil},
	} {
		name, segments, named, err := dag.SplitName(c.in)
		if err != nil || !named || name != c.name || !slices.Equal(segments, c.segments) {
			t.Errorf("%s: %q %q %t, %v", c.in, name, segments, named, err)
		}
	}
	for _, in := range []string{"", "bafkqaaa", "/ipfs/bafkqaaa", "ipfs://bafkqaaa", "http://bafkqaaa.ipfs.localhost/", "http://localhost/ipfs/bafkqaaa", "ipns/x", strings.Repeat("/ipns/", 1000)} {
		if _, _, named, err := dag.SplitName(in); named || err != nil {
			t.Errorf("%q is taken for a name, %v", in, err)
		}
	}
	for _, in := range []string{"/ipns/", "/ipns//a", "ipns://", "/ipns/a b", "/ipns/x/../y", "/ipns/x//y", "ipns://x/%2f", "ipns://%zz", "/ipns/" + strings.Repeat("a", 300)} {
		if _, _, named, err := dag.SplitName(in); !named || err == nil {
			t.Errorf("%q: %t, %v", in, named, err)
		}
	}
}
