package gateway_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/cairn-network/cairn/web/gateway"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/routing"
	ma "github.com/multiformats/go-multiaddr"
)

// atlas knows two peers: the first has everything but what is in none.
type atlas struct {
	ids  []peer.ID
	none cid.Cid
	err  error
}

func (a atlas) info(i int) peer.AddrInfo {
	return peer.AddrInfo{ID: a.ids[i], Addrs: []ma.Multiaddr{ma.StringCast("/ip4/192.0.2.7/tcp/4101")}}
}

func (a atlas) Providers(_ context.Context, c cid.Cid) ([]peer.AddrInfo, error) {
	if c.Equals(a.none) {
		return nil, a.err
	}
	return []peer.AddrInfo{a.info(0), a.info(1)}, a.err
}

func (a atlas) Peer(_ context.Context, id peer.ID) (peer.AddrInfo, error) {
	if id != a.ids[0] {
		return peer.AddrInfo{ID: id}, routing.ErrNotFound
	}
	return a.info(0), a.err
}

func (a atlas) Closest(context.Context, cid.Cid) ([]peer.AddrInfo, error) {
	return []peer.AddrInfo{a.info(1), a.info(0)}, a.err
}

// The four questions of delegated routing, and what is answered when nobody knows, when
// nobody can be asked, and to who would write.
func TestRoutingAnswersAllFourQuestions(t *testing.T) {
	bs, cfg := conformance(t)
	var ids []peer.ID
	for _, s := range []string{"12D3KooWLQzUv2FHWGVPXTXSZpdHs7oHbXub2G5WC8Tx4NQhyd2d", "QmVujd5Vb7moysJj8itnGufN7MEtPRCNHkKpNuA4onsRa3"} {
		id, err := peer.Decode(s)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	const c, none = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku", "bafkqaaa"
	first, second := ids[0].String(), ids[1].String()
	serve := func(r gateway.Routing) *httptest.Server {
		cfg := cfg
		cfg.Routing = r
		srv := httptest.NewServer(gateway.New(bs, cfg))
		t.Cleanup(srv.Close)
		return srv
	}
	srv := serve(atlas{ids: ids, none: cid.MustParse(none)})
	for _, q := range []struct {
		method, path string
		status       int
		want         []string // in this order
	}{
		{"GET", "/routing/v1/providers/" + c, 200, []string{`"Providers":[`, first, second}},
		{"GET", "/routing/v1/peers/" + cid.NewCidV1(cid.Libp2pKey, []byte(ids[0])).String(), 200, []string{`"Peers":[`, "192.0.2.7", first}},
		{"GET", "/routing/v1/dht/closest/peers/" + c, 200, []string{`"Peers":[`, second, first}},
		{"GET", "/routing/v1/ipns/" + ipnsKey, 200, nil},
		{"GET", "/routing/v1/ipns/k51qzi5uqu5dm4tm0wt8srkg9h9suud4wuiwjimndrkydqm81cqtlb5ak6p7ku", 200, []string{"not found"}},
		{"GET", "/routing/v1/providers/" + none, 200, []string{`"Providers":[]`}},
		{"GET", "/routing/v1/peers/" + cid.NewCidV1(cid.Libp2pKey, []byte(ids[1])).String(), 200, []string{`"Peers":[]`}},
		{"GET", "/routing/v1/providers/nonsense", 400, nil},
		{"PUT", "/routing/v1/ipns/" + ipnsKey, 405, nil},
	} {
		accept := "application/json"
		if strings.Contains(q.path, "/ipns/") {
			accept = "application/vnd.ipfs.ipns-record"
		}
		res, body := ask(t, srv, q.method, q.path, func(r *http.Request) { r.Header.Set("Accept", accept) })
		at := 0
		for _, w := range q.want {
			i := strings.Index(body[at:], w)
			if i < 0 {
				t.Errorf("%s: no %s after character %d of %s", q.path, w, at, body)
				break
			}
			at += i
		}
		if res.StatusCode != q.status {
			t.Errorf("%s %s: %d %.200s, want %d", q.method, q.path, res.StatusCode, body, q.status)
		}
	}
	if res, body := ask(t, serve(atlas{ids: ids, err: errors.New("alone")}), "GET", "/routing/v1/providers/"+c, nil); res.StatusCode != 500 {
		t.Errorf("nobody can be asked: %d %.200s", res.StatusCode, body)
	}
	if res, _ := ask(t, serve(nil), "GET", "/routing/v1/providers/"+c, nil); res.StatusCode != 404 {
		t.Errorf("control, without routing: %d", res.StatusCode)
	}
}

// slowly answers when it is told to.
type slowly struct {
	atlas
	asked chan struct{}
	done  chan struct{}
}

func (s slowly) Providers(ctx context.Context, _ cid.Cid) ([]peer.AddrInfo, error) {
	s.asked <- struct{}{}
	select {
	case <-s.done:
		return nil, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Strangers have no more than 64 walks through the network made at a time: who comes then is told
// to come again, and is answered when one of them is done.
func TestNoMoreThan64QuestionsAreWalked(t *testing.T) {
	bs, cfg := conformance(t)
	r := slowly{asked: make(chan struct{}, 100), done: make(chan struct{})}
	cfg.Routing = r
	srv := httptest.NewServer(gateway.New(bs, cfg))
	defer srv.Close()
	ask := func() int {
		res, err := srv.Client().Get(srv.URL + "/routing/v1/providers/bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku")
		if err != nil {
			t.Error(err)
			return 0
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			if status := ask(); status == http.StatusTooManyRequests {
				t.Error("refused, with fewer than 64 under way")
			}
		})
	}
	for range 64 {
		<-r.asked
	}
	if status := ask(); status != http.StatusTooManyRequests {
		t.Errorf("the 65th: %d", status)
	}
	close(r.done)
	all.Wait()
	if status := ask(); status == http.StatusTooManyRequests {
		t.Error("refused when the others are done")
	}
}
