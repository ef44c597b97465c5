package rpc_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cairn-network/cairn/web/api"
	"github.com/cairn-network/cairn/web/rpc"
	"github.com/ipfs/go-cid"
)

// router is a peer that keeps records of names, and notes what it was asked to provide.
type router struct {
	*peer
	values   map[string]string
	provided []cid.Cid
}

func (r *router) Provide(_ context.Context, c cid.Cid) error {
	r.provided = append(r.provided, c)
	return nil
}

func (r *router) Value(_ context.Context, key string) ([]byte, error) {
	v, ok := r.values[key]
	if !ok {
		return nil, errors.New("nobody has a record")
	}
	return []byte(v), nil
}

func (r *router) PutValue(_ context.Context, key string, value []byte) error {
	r.values[key] = string(value)
	return nil
}

func (r *router) Disconnect(_ context.Context, addr string) (string, error) {
	return strings.TrimPrefix(addr, "/p2p/"), nil
}

func TestRecordsAreLeftPutAndGot(t *testing.T) {
	p := &router{peer: newPeer(), values: map[string]string{}}
	s := rpc.New(p, rpc.Config{})
	srv := httptest.NewServer(api.New(p, api.Config{Token: token, Mounts: []api.Mount{{Prefix: rpc.Prefix, Serve: s.RPC(),
		Fail: func(w http.ResponseWriter, status int, _, d string) { rpc.Fail(w, status, d) }}}}))
	t.Cleanup(srv.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	here := plant(t, p.peer, "here")
	for _, c := range []struct {
		path, body string
		status     int
		want       string
	}{
		{"routing/get?arg=/ipns/k51", "", 500, "nobody has a record"},
		{"routing/put?arg=/ipns/k51", "signed", 200, `"Type":2`},
		{"routing/get?arg=/ipns/k51", "", 200, `"Extra":"c2lnbmVk"`},
		{"routing/put?arg=/ipns/k51", "", 400, "form"},
		{"routing/provide?arg=" + here, "", 200, ""},
		{"routing/provide?arg=bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku", "", 400, "is not here"},
		{"routing/provide?recursive=true&arg=" + here, "", 400, "recursive"},
		{"swarm/disconnect?arg=/p2p/X", "", 200, `"disconnect X success"`},
		{"dag/put?hash=blake2b-256", "{}", 501, "takes no blocks"},
	} {
		var parts []part
		if c.body != "" {
			parts = append(parts, part{body: c.body})
		}
		if res, body := ask(t, srv, c.path, parts...); res.StatusCode != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s: %d %s, want %d %s", c.path, res.StatusCode, body, c.status, c.want)
		}
	}
	if len(p.provided) != 1 || p.provided[0].String() != here {
		t.Errorf("provided %v", p.provided)
	}
}

// A symlink is read as the path that it leads to, as Kubo does.
func TestASymlinkIsReadAsItsTarget(t *testing.T) {
	srv, _ := serve(t, newPeer(), false)
	_, body := ask(t, srv, "add?wrap-with-directory=true", part{"a", "", "hello"}, part{"link", "application/symlink", "a"})
	all := lines[rpc.Added](t, body)
	root := all[len(all)-1].Hash
	for query, want := range map[string]string{
		"arg=" + root + "/link":                             "a",
		"arg=" + root + "/link&arg=" + root + "/a":          "ahello",
		"offset=3&arg=" + root + "/link&arg=" + root + "/a": "llo",
	} {
		if res, body := ask(t, srv, "cat?"+query); res.StatusCode != 200 || body != want {
			t.Errorf("%s: %d %q, want %q", query, res.StatusCode, body, want)
		}
	}
}
