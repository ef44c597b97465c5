package gateway_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cairn-network/cairn/web/gateway"
	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/boxo/ipns"
	"github.com/ipfs/boxo/namesys"
	"github.com/ipld/go-car/v2"
	"github.com/libp2p/go-libp2p/core/routing"
)

// records is a value store of IPNS records that were valid when they came in.
type records map[string][]byte

func (r records) PutValue(_ context.Context, key string, data []byte, _ ...routing.Option) error {
	name, err := ipns.NameFromRoutingKey([]byte(key))
	if err != nil {
		return err
	}
	rec, err := ipns.UnmarshalRecord(data)
	if err != nil {
		return err
	}
	if err := ipns.ValidateWithName(rec, name); err != nil {
		return err
	}
	r[key] = data
	return nil
}

func (r records) GetValue(_ context.Context, key string, _ ...routing.Option) ([]byte, error) {
	if data, ok := r[key]; ok {
		return data, nil
	}
	return nil, routing.ErrNotFound
}

func (r records) SearchValue(ctx context.Context, key string, _ ...routing.Option) (<-chan []byte, error) {
	out := make(chan []byte, 1)
	defer close(out)
	data, err := r.GetValue(ctx, key)
	if err == nil {
		out <- data
	}
	return out, err
}

// conformance gives the data of the public suite, and a configuration such as the
// suite asks for: example.com and localhost with an origin for each CID, and
// DNSLinks from a map instead of the network.
func conformance(t *testing.T) (blockservice.BlockService, gateway.Config) {
	t.Helper()
	bs := service(t, nil)
	f, err := os.Open(filepath.Join("testdata", "fixtures.car"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	blocks, err := car.NewBlockReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for {
		b, err := blocks.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := bs.AddBlock(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join("testdata", "*.ipns-record"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d records, %v", len(files), err)
	}
	recs, refused := records{}, 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		key, _, _ := strings.Cut(filepath.Base(file), "_")
		name, err := ipns.NameFromString(key)
		if err != nil {
			t.Fatal(err)
		}
		if recs.PutValue(t.Context(), string(name.RoutingKey()), data) != nil {
			refused++
		}
	}
	if refused != 3 {
		t.Fatalf("%d records refused, want the three that are broken on purpose", refused)
	}
	links, err := os.ReadFile(filepath.Join("testdata", "dnslinks.IPFS_NS_MAP"))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("IPFS_NS_MAP", string(links)) // namesys reads it once, in NewNameSystem
	names, err := namesys.NewNameSystem(recs, namesys.WithDNSResolver(noDNS{}))
	if err != nil {
		t.Fatal(err)
	}
	return bs, gateway.Config{
		Hosts: []string{"fake.domain.com"}, Subdomains: []string{"example.com"}, Sites: []string{"*.example.org"},
		Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Names:   names, Records: recs, Retrieval: 2 * time.Second,
	}
}

// noDNS knows no name: a test asks nobody.
type noDNS struct{}

func (noDNS) LookupIPAddr(context.Context, string) ([]net.IPAddr, error) { return nil, noName }
func (noDNS) LookupTXT(context.Context, string) ([]string, error)        { return nil, noName }

var noName = &net.DNSError{Err: "no such host", IsNotFound: true}

// The suite itself is run against this; see docs/conformance.md.
func TestServeTheConformanceFixtures(t *testing.T) {
	addr := os.Getenv("CAIRN_CONFORMANCE_LISTEN")
	if addr == "" {
		t.Skip("SKIP: serves the fixtures on CAIRN_CONFORMANCE_LISTEN, as 127.0.0.1:8080, until it is interrupted")
	}
	bs, cfg := conformance(t)
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: gateway.New(bs, cfg), ReadHeaderTimeout: 5 * time.Second}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }() // ends with Close; waited for below
	ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	<-ctx.Done()
	_ = srv.Close()
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}
