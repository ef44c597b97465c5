package wire_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/blocks/blockstest"
	"github.com/cairn-network/cairn/blocks/wire"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	tls "github.com/libp2p/go-libp2p/p2p/security/tls"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
)

const (
	benchBlock = 1 << 20
	benchCount = 256
	rawGet     = "/bench/raw/get"
	rawPut     = "/bench/raw/put"
)

func tcpHost(tb testing.TB) host.Host {
	tb.Helper()
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Security(tls.ID, tls.New), libp2p.DisableRelay(), libp2p.ResourceManager(&network.NullResourceManager{}))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = h.Close() })
	return h
}

// all keeps whatever comes, in memory.
type all struct{ m *blockstest.Mem }

func (k all) Offer(ctx context.Context, _ peer.ID, _ blocks.Lease, items []wire.Item) ([]wire.Status, error) {
	return make([]wire.Status, len(items)), nil
}

func (k all) Keep(ctx context.Context, _ peer.ID, _ blocks.Lease, bs ...blocks.Block) error {
	return k.m.Put(ctx, bs...)
}

func benchBlocks() (bs []blocks.Block, mem *blockstest.Mem) {
	mem = new(blockstest.Mem)
	for i := range benchCount {
		b := blocks.New(cid.Raw, blockstest.Random(uint64(i), benchBlock))
		bs = append(bs, b)
		_ = mem.Put(context.Background(), b)
	}
	return bs, mem
}

// serveBench answers the protocol and, for comparison, gives and takes raw bytes.
func serveBench(tb testing.TB, h host.Host, bs []blocks.Block, mem *blockstest.Mem) {
	tb.Cleanup(wire.Serve(h, mem, mem, all{new(blockstest.Mem)}, wire.Config{}))
	h.SetStreamHandler(rawGet, func(s network.Stream) {
		for _, b := range bs {
			if _, err := s.Write(b.RawData()); err != nil {
				return
			}
		}
		_ = s.Close()
	})
	h.SetStreamHandler(rawPut, func(s network.Stream) {
		_ = hashed(s)
		_, _ = s.Write([]byte{1})
		_ = s.Close()
	})
}

// hashed reads blocks and hashes each: the least that a receiver must do.
func hashed(r io.Reader) error {
	for buf := make([]byte, benchBlock); ; {
		if _, err := io.ReadFull(r, buf); err != nil {
			return err
		}
		_ = sha256.Sum256(buf)
	}
}

// BenchmarkAgainstRaw moves 256 MiB in blocks of 1 MiB over loopback TCP with TLS, in
// turns with a bare stream whose receiver hashes, and reports MB/s and the ratio. With
// CAIRN_BENCH_PEER=1 the other peer is another process.
func BenchmarkAgainstRaw(b *testing.B) {
	bs, mem := benchBlocks()
	h := tcpHost(b)
	var to peer.AddrInfo
	if os.Getenv("CAIRN_BENCH_PEER") == "" {
		other := tcpHost(b)
		serveBench(b, other, bs, mem)
		to = peer.AddrInfo{ID: other.ID(), Addrs: other.Addrs()}
	} else {
		to = otherProcess(b)
	}
	if err := h.Connect(b.Context(), to); err != nil {
		b.Fatal(err)
	}
	c := wire.NewClient(h, wire.Config{})
	spent := map[string]time.Duration{}
	for b.Loop() {
		for name, f := range map[string]func(context.Context, peer.ID) error{
			"rawget": func(ctx context.Context, p peer.ID) error { return raw(ctx, h, p, rawGet, nil) },
			"rawput": func(ctx context.Context, p peer.ID) error { return raw(ctx, h, p, rawPut, bs) },
			"get":    func(ctx context.Context, p peer.ID) error { return getAll(ctx, c, p, bs) },
			"put":    func(ctx context.Context, p peer.ID) error { return putAll(b, ctx, c, p, bs, mem) },
		} {
			t0 := time.Now()
			if err := f(b.Context(), to.ID); err != nil {
				b.Fatal(name, err)
			}
			spent[name] += time.Since(t0)
		}
	}
	for name, d := range spent {
		b.ReportMetric(float64(b.N)*benchBlock*benchCount/1e6/d.Seconds(), name+"-MB/s")
	}
	b.ReportMetric(spent["rawget"].Seconds()/spent["get"].Seconds(), "get/raw")
	b.ReportMetric(spent["rawput"].Seconds()/spent["put"].Seconds(), "put/raw")
}

// raw moves the same bytes without any protocol; bs is what is sent, or nil to read.
func raw(ctx context.Context, h host.Host, p peer.ID, what protocol.ID, bs []blocks.Block) error {
	s, err := h.NewStream(ctx, p, what)
	if err != nil {
		return err
	}
	defer func() { _ = s.Reset() }()
	if bs == nil {
		if err := hashed(s); err != io.EOF {
			return err
		}
		return nil
	}
	for _, b := range bs {
		if _, err := s.Write(b.RawData()); err != nil {
			return err
		}
	}
	if err := s.CloseWrite(); err != nil {
		return err
	}
	_, err = s.Read(make([]byte, 1))
	if err == io.EOF {
		err = nil
	}
	return err
}

func getAll(ctx context.Context, c *wire.Client, p peer.ID, bs []blocks.Block) error {
	todo := make(chan cid.Cid, len(bs))
	for _, b := range bs {
		todo <- b.Cid()
	}
	close(todo)
	var wg sync.WaitGroup
	errs := make(chan error, 16)
	for range 16 {
		wg.Go(func() {
			for id := range todo {
				if _, err := c.Fetch(ctx, p, id); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}

func putAll(tb testing.TB, ctx context.Context, c *wire.Client, p peer.ID, bs []blocks.Block, mem *blockstest.Mem) error {
	items := make([]wire.Item, len(bs))
	for i, b := range bs {
		items[i] = wire.Item{Hash: b.Hash(), Size: len(b.RawData())}
	}
	stored := 0
	err := c.Offer(ctx, p, benchLease(tb, bs[0].Cid()), wire.Put, items, mem, func(_ int, a wire.Ack) {
		if a.Status == wire.Stored {
			stored++
		}
	})
	if err == nil && stored != len(bs) {
		err = errors.New("not all were stored")
	}
	return err
}

func benchLease(tb testing.TB, root cid.Cid) blocks.Lease {
	tb.Helper()
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	l, err := blocks.Grant(key, blocks.Lease{Root: root, Seq: 1, Issued: time.Now(), Expires: time.Now().Add(time.Hour), R: 3})
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// otherProcess runs this test binary as a peer that serves.
func otherProcess(tb testing.TB) peer.AddrInfo {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), os.Args[0], "-test.run=^TestServeForABenchmark$", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), "CAIRN_BENCH_SERVE=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	line := make([]byte, 512)
	n, err := out.Read(line)
	if err != nil {
		tb.Fatal(err)
	}
	m, err := ma.NewMultiaddr(string(line[:n]))
	if err != nil {
		tb.Fatal(err)
	}
	info, err := peer.AddrInfoFromP2pAddr(m)
	if err != nil {
		tb.Fatal(err)
	}
	return *info
}

// TestServeForABenchmark is the other process of BenchmarkAgainstRaw, until its input ends.
func TestServeForABenchmark(t *testing.T) {
	if os.Getenv("CAIRN_BENCH_SERVE") == "" {
		t.Skip("SKIP: only as the other process of a benchmark")
	}
	bs, mem := benchBlocks()
	h := tcpHost(t)
	serveBench(t, h, bs, mem)
	_, _ = os.Stdout.WriteString(h.Addrs()[0].String() + "/p2p/" + h.ID().String())
	_, _ = io.Copy(io.Discard, os.Stdin)
}
