package gateway_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/cairn-network/cairn/web/gateway"
	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/boxo/exchange"
	block "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
)

// abandon begins n downloads and leaves each after some bytes.
func abandon(t *testing.T, url string, n int) {
	t.Helper()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	for range n {
		ctx, leave := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, res.Body, 10<<10); err != nil {
			t.Fatal(err)
		}
		leave()
		res.Body.Close()
	}
}

// late is an exchange that says only at the end of a request that it has no more blocks.
type late struct {
	exchange.Interface
	from blockservice.BlockService
}

func (l late) GetBlock(ctx context.Context, c cid.Cid) (block.Block, error) {
	return l.from.GetBlock(ctx, c)
}

func (l late) GetBlocks(ctx context.Context, cs []cid.Cid) (<-chan block.Block, error) {
	out := make(chan block.Block)
	go func() { // ends with ctx
		defer close(out)
		for _, c := range cs {
			b, err := l.from.GetBlock(ctx, c)
			if err != nil {
				break
			}
			select {
			case out <- b:
			case <-ctx.Done():
			}
		}
		<-ctx.Done()
	}()
	return out, nil
}

// whoever leaves in the middle leaves no goroutine behind. boxo's reader can, where a
// context ends between the last block and the word that there are no more.
func TestAnAbandonedDownloadLeavesNoGoroutine(t *testing.T) {
	var slow blockservice.BlockService
	bs := service(t, nil)
	root := leaves(t, bs, 60, 0)
	none := service(t, nil)
	slow = blockservice.New(none.Blockstore(), late{none.Exchange(), bs})
	for _, from := range []blockservice.BlockService{bs, slow} {
		srv := serve(t, from, gateway.Config{})
		for _, form := range []string{"", "?format=tar", "?format=car"} {
			before := runtime.NumGoroutine()
			abandon(t, srv.URL+"/ipfs/"+root.Cid().String()+form, 50)
			srv.Client().CloseIdleConnections()
			left := 0
			for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
				if left = runtime.NumGoroutine() - before; left <= 0 {
					break
				}
			}
			if left > 0 {
				buf := make([]byte, 64<<10)
				t.Errorf("%s: %d goroutines left\n%s", form, left, buf[:runtime.Stack(buf, true)])
			}
		}
	}
}

// what a client that has left asked for costs 0.1 s of work at most from then on, which
// CAIRN_BENCH=1 holds it to; else a collection of garbage may come in between.
func TestWorkEndsWithItsClient(t *testing.T) {
	bs := service(t, nil)
	bombs, plain := bomb(t, bs, 1000), leaves(t, bs, 100, 0).Cid()
	srv := serve(t, bs, gateway.Config{MaxBlocks: 1 << 40})
	most := 250 * time.Millisecond // of the 500 and more that work which goes on takes
	if os.Getenv("CAIRN_BENCH") != "" {
		most = 100 * time.Millisecond
	}
	for _, at := range []string{
		bombs.String(), bombs.String() + "?format=tar", bombs.String() + "?format=car&car-dups=y", bombs.String() + "?format=car&dag-scope=entity&car-dups=y", plain.String(),
	} {
		abandon(t, srv.URL+"/ipfs/"+at, 1)
		begin := cpu(t)
		time.Sleep(500 * time.Millisecond)
		if took := cpu(t) - begin; took > most {
			t.Errorf("%s: %s of work within half a second after its client had left", at, took)
		}
	}
}

// cpu is how long this process has worked.
func cpu(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
