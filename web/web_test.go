package web_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cairn-network/cairn/web"
	"github.com/cairn-network/cairn/web/api"
	"github.com/cairn-network/cairn/web/api/client"
	"github.com/cairn-network/cairn/web/gateway"
	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/boxo/blockstore"
	"github.com/ipfs/boxo/exchange/offline"
	"github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a node that knows who it is and hears nothing.
type fake struct{ api.Node }

func (fake) ID() api.ID { return api.ID{ID: "me", State: "ready"} }
func (fake) Updates(ctx context.Context) iter.Seq2[api.Update, error] {
	return func(func(api.Update, error) bool) { <-ctx.Done() }
}

func faces() (apiFace, gatewayFace http.Handler) {
	store := blockstore.NewBlockstore(dssync.MutexWrap(datastore.NewMapDatastore()))
	return api.New(fake{}, api.Config{Token: "secret"}), gateway.New(blockservice.New(store, offline.Exchange(store)), gateway.Config{})
}

// run serves both faces on free ports; stop ends that and answers what Run did.
func run(t *testing.T) (s *web.Server, stop func() error) {
	t.Helper()
	s, err := web.Listen(web.Config{API: "127.0.0.1:0", Gateway: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	end := make(chan error, 1)
	a, g := faces()
	go func() { end <- s.Run(ctx, a, g) }()
	t.Cleanup(cancel)
	return s, func() error {
		cancel()
		return <-end
	}
}

func TestBothFacesAnswerOnTheirURLs(t *testing.T) {
	s, stop := run(t)
	c := client.New(s.APIURL(), "secret")
	defer c.Close()
	if err := c.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	if id, err := c.ID(t.Context()); err != nil || id.ID != "me" {
		t.Error(id, err)
	}
	res, err := http.Get(s.GatewayURL() + "/ipfs/bafkqaaa")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if res.StatusCode != 200 {
		t.Errorf("gateway: %d", res.StatusCode)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	var gone *client.UnreachableError
	if _, err := c.ID(t.Context()); !errors.As(err, &gone) {
		t.Errorf("after the end: %v", err)
	}
}

func TestOpenStreamsDoNotHoldTheEndUp(t *testing.T) {
	s, stop := run(t)
	c := client.New(s.APIURL(), "secret")
	defer c.Close()
	heard := make(chan error, 1)
	go func() {
		for _, err := range c.Updates(t.Context()) {
			heard <- err
		}
	}()
	idle, err := net.Dial("tcp", strings.TrimPrefix(s.APIURL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	fmt.Fprint(idle, "GET /api/v1/updates HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret\r\n\r\n")
	if line, err := bufio.NewReader(idle).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
		t.Fatal(line, err)
	}
	begin := time.Now()
	if err := stop(); err != nil || time.Since(begin) > 5*time.Second {
		t.Errorf("%v after %s", err, time.Since(begin))
	}
	if err := <-heard; err == nil {
		t.Error("the listener was not told")
	}
}

func TestPortInUseIsSaid(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr := l.Addr().String()
	for _, cfg := range []web.Config{{API: addr, Gateway: "127.0.0.1:0"}, {API: "127.0.0.1:0", Gateway: addr}} {
		_, err := web.Listen(cfg)
		if !errors.Is(err, syscall.EADDRINUSE) || err == nil || !strings.Contains(err.Error(), "address "+addr+" is in use") {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
	if _, err := web.Listen(web.Config{API: "nonsense"}); err == nil || errors.Is(err, syscall.EADDRINUSE) {
		t.Error(err)
	}
}

func TestNoGatewayNoURL(t *testing.T) {
	s, err := web.Listen(web.Config{API: "0.0.0.0:0", NoGateway: true})
	if err != nil {
		t.Fatal(err)
	}
	if s.GatewayURL() != "" || !strings.HasPrefix(s.APIURL(), "http://127.0.0.1:") {
		t.Errorf("%q %q", s.APIURL(), s.GatewayURL())
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
}

func TestHalfOpenHeadersAreClosed(t *testing.T) {
	s, stop := run(t)
	c, err := net.Dial("tcp", strings.TrimPrefix(s.GatewayURL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET /ipfs/bafkqaaa HTTP/1.1\r\nHost: loc")
	begin := time.Now()
	_, _ = io.ReadAll(c)
	if took := time.Since(begin); took > 8*time.Second {
		t.Errorf("closed after %s", took)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// The two faces may not import each other, so each has its copy of the check.
func TestBothFacesAllowTheSameHosts(t *testing.T) {
	more := []string{"box.lan", "Other.lan:80"}
	store := blockstore.NewBlockstore(dssync.MutexWrap(datastore.NewMapDatastore()))
	g := gateway.New(blockservice.New(store, offline.Exchange(store)), gateway.Config{Hosts: more})
	a := api.New(fake{}, api.Config{Token: "secret", Hosts: more})
	status := func(h http.Handler, path, host string) int {
		r := httptest.NewRequest("GET", "http://localhost"+path, nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	for host, ok := range map[string]bool{
		"localhost": true, "LocalHost:1": true, "127.0.0.1:80": true, "[::1]": true, "[::1]:8180": true, "box.lan:9": true, "other.lan": true,
		"": false, "evil.example": false, "localhost.": false, "127.0.0.1.nip.io": false, "127.1": false, "0.0.0.0": false, "[::]": false,
		"localhost:x": false, "::1": false, "box.lan.evil": false, "xbox.lan": false, "user@localhost": false, "localhost/": false,
	} {
		fromAPI, fromGateway := status(a, "/healthz", host), status(g, "/nothing", host)
		if (fromAPI != 403) != ok || (fromGateway != 403) != ok {
			t.Errorf("Host %q: api %d, gateway %d, allowed %v", host, fromAPI, fromGateway, ok)
		}
	}
}
