package dag_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/dag"
	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
)

const (
	v1 = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
	v0 = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"
)

func TestParsePathTakesWhatPeoplePaste(t *testing.T) {
	for _, c := range []struct {
		in, root string
		segments []string
	}{
		{v1, v1, nil},
		{v0, v0, nil},
		{v1 + "/", v1, nil},
		{v1 + "/a/b", v1, []string{"a", "b"}},
		{v1 + "/a/b/", v1, []string{"a", "b"}},
		{v1 + "/a%20b?c#d", v1, []string{"a%20b?c#d"}}, // no address: taken as it is
		{v1 + "/…/ .", v1, []string{"…", " ."}},
		{"/ipfs/" + v1, v1, nil},
		{"/ipfs/" + v0 + "/a/b", v0, []string{"a", "b"}},
		{"ipfs://" + v1 + "/a", v1, []string{"a"}},
		{"IPFS://" + v1 + "/a%20b?x=y#z", v1, []string{"a b"}},
		{"http://127.0.0.1:8180/ipfs/" + v1 + "/x", v1, []string{"x"}},
		{"http://[::1]:8180/ipfs/" + v1, v1, nil},
		{"http://" + v1 + ".ipfs.localhost:8180/x", v1, []string{"x"}},
		{"http://" + v1 + ".ipfs.localhost:8180", v1, nil},
		{"https://" + v1 + ".ipfs.example.org/ipfs/x?format=raw", v1, []string{"ipfs", "x"}},
		{"https://example.org/ipfs/" + v0 + "/a%2Bb/%C3%BC?download=true", v0, []string{"a+b", "ü"}},
		{"https://example.org/ipfs/" + v1 + "?filename=x/y", v1, nil},
	} {
		root, segments, err := dag.ParsePath(c.in)
		if err != nil || root.String() != c.root || !slices.Equal(segments, c.segments) {
			t.Errorf("%q: got %s %q, %v; want %s %q", c.in, root, segments, err, c.root, c.segments)
		}
	}
}

func identity(t *testing.T, n int) string {
	t.Helper()
	h, err := mh.Sum(make([]byte, n), mh.IDENTITY, -1)
	if err != nil {
		t.Fatal(err)
	}
	return cid.NewCidV1(cid.Raw, h).String()
}

func TestParsePathSaysWhatIsWrongAndWhere(t *testing.T) {
	for _, c := range []struct {
		in     string
		offset int
		reason string
	}{
		{"", 0, "empty"},
		{"/", 0, "no CID"},
		{"/ipfs/", 6, "no CID"},
		{"ipfs://", 7, "no CID"},
		{"ipfs:///" + v1, 7, "no CID"},
		{"/ipns/example.org", 0, "names are not followed"},
		{"ipns://example.org", 0, "names are not followed"},
		{"hello", 0, "not a CID: "},
		{"hello world.txt", 0, "not a CID: "},
		{v1[:20], 0, "not a CID: "},
		{"/ipfs/" + v1[:20] + "0" + v1[21:], 26, "not a CID: '0' is not base32"},
		{strings.Replace(v0, "1", "l", 1), strings.Index(v0, "1"), "not a CID: 'l' is not base58"},
		{v1 + "x", 0, "not a CID: "},
		{v1 + "//a", 60, "an empty name"},
		{v1 + "/a/../b", 62, `the name ".."`},
		{v1 + "/./b", 60, `the name "."`},
		{v1 + "/a\x00b", 61, "a zero byte"},
		{"ipfs://" + v1 + "/a/%2e%2E", 69, `the name ".."`},
		{"ipfs://" + v1 + "/a/%00", 69, "a zero byte"},
		{"ipfs://" + v1 + "/a%2Fb", 67, "a slash"},
		{"ipfs://" + v1 + "/a/%zz", 69, "invalid URL escape"},
		{"http://example.org/" + v1, 7, "not the address of a gateway page"},
		{"https://example.org", 8, "not the address of a gateway page"},
		{"http://nonsense.ipfs.localhost/x", 7, "not a CID: "},
		{"http://127.0.0.1/ipfs/nonsense/x", 22, "not a CID: "},
		{v1 + strings.Repeat("/a", 257), 59 + 2*256 + 1, "more than 256 names"},
		{v1 + "/" + strings.Repeat("a", 4096), 4096, "longer than 4096 bytes"},
		{cid.NewCidV1(cid.Raw, mh.Multihash{mh.SHA2_256, 0}).String(), 0, "a CID that proves nothing"},
		{identity(t, 129), 0, "129 bytes of data in it, limit 128"},
	} {
		root, segments, err := dag.ParsePath(c.in)
		var bad *blocks.PathError
		if !errors.As(err, &bad) || root.Defined() || segments != nil {
			t.Errorf("%.80q: got %s %q, %v; want a PathError", c.in, root, segments, err)
			continue
		}
		if bad.Path != c.in || bad.Offset != c.offset || !strings.Contains(bad.Reason, c.reason) {
			t.Errorf("%.80q: got %d: %s; want %d: …%s…", c.in, bad.Offset, bad.Reason, c.offset, c.reason)
		}
	}
	for _, in := range []string{identity(t, 128), v1 + strings.Repeat("/a", 256)} {
		if _, _, err := dag.ParsePath(in); err != nil {
			t.Errorf("%.80q: %v", in, err)
		}
	}
}

// Whatever is taken is taken again when written out plainly; whatever is not
// is refused with a place within it.
func FuzzParsePath(f *testing.F) {
	for _, s := range []string{
		"", v1, v0 + "/a/b", "/ipfs/" + v1 + "/ü", "ipfs://" + v1 + "/a%20b?c#d", "/ipns/x", "ipfs://%00",
		"http://127.0.0.1:8180/ipfs/" + v1 + "/x", "http://" + v1 + ".ipfs.localhost:8180/x", "https://.ipfs./", "http://a/ipfs/",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		root, segments, err := dag.ParsePath(s)
		var bad *blocks.PathError
		if errors.As(err, &bad) {
			if bad.Path != s || bad.Offset < 0 || bad.Offset > len(s) || bad.Reason == "" || root.Defined() || segments != nil {
				t.Fatalf("%q: %+v with %s %q", s, bad, root, segments)
			}
			return
		}
		if err != nil {
			t.Fatalf("%q: %v is no PathError", s, err)
		}
		if len(segments) > 256 || slices.ContainsFunc(segments, func(s string) bool {
			return s == "" || s == "." || s == ".." || strings.ContainsAny(s, "/\x00")
		}) {
			t.Fatalf("%q: got names %q", s, segments)
		}
		plain := strings.Join(append([]string{"/ipfs/" + root.String()}, segments...), "/")
		if len(plain) > 4096 {
			return // the CID has got longer in its usual spelling
		}
		again, names, err := dag.ParsePath(plain)
		if err != nil || again != root || !slices.Equal(names, segments) {
			t.Fatalf("%q: as %q got %s %q, %v; want %s %q", s, plain, again, names, err, root, segments)
		}
	})
}
