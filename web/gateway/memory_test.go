package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/gateway"
	"github.com/cairn-network/cairn/web/webtest"
	"github.com/ipfs/go-cid"
)

// 24 downloads whose clients read nothing share the memory: of 4 MiB, three send. The
// others wait, and are served when those have left. The control: with more memory all of them begin.
func TestManyFilesShareTheMemory(t *testing.T) {
	for name, c := range map[string]struct {
		memory int64
		want   int32
	}{"4 MiB": {4 << 20, 3}, "1 GiB": {1 << 30, 24}} {
		t.Run(name, func(t *testing.T) {
			bs := service(t, nil)
			root := leaves(t, bs, 200, 0)
			srv := serve(t, bs, gateway.Config{Memory: c.memory})
			var began atomic.Int32
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			for range 24 {
				req, err := http.NewRequestWithContext(ctx, "GET", srv.URL+"/ipfs/"+root.Cid().String(), nil)
				if err != nil {
					t.Fatal(err)
				}
				go func() { // ends with ctx
					res, err := srv.Client().Transport.RoundTrip(req)
					if err != nil {
						return
					}
					defer res.Body.Close()
					if res.StatusCode == http.StatusOK {
						began.Add(1)
					}
					<-ctx.Done()
				}()
			}
			for end := time.Now().Add(30 * time.Second); began.Load() < c.want && time.Now().Before(end); {
				time.Sleep(10 * time.Millisecond)
			}
			time.Sleep(300 * time.Millisecond)
			if got := began.Load(); got != c.want {
				t.Errorf("%d are being sent, want %d", got, c.want)
			}
			leave()
			res, err := http.Get(srv.URL + "/ipfs/" + root.Cid().String())
			if err != nil {
				t.Fatal(err)
			}
			defer http.DefaultClient.CloseIdleConnections()
			defer res.Body.Close()
			if n, err := io.Copy(io.Discard, res.Body); res.StatusCode != 200 || err != nil || n != 200*256<<10 {
				t.Errorf("when they have left: %d, %d bytes, %v", res.StatusCode, n, err)
			}
		})
	}
}

// 24 clients that take nothing of one block of 1 MiB. Of 4 MiB, three have it in hand, and
// the others are told to come again; so it is with archives, which take more. The controls: more
// memory, and blocks that are not worth counting.
func TestABlockInHandTakesRoomToo(t *testing.T) {
	for _, c := range []struct {
		memory int64
		size   int
		query  string
		want   int
	}{{4 << 20, 1 << 20, "", 3}, {4 << 20, 1 << 20, "?format=tar", 3}, {1 << 30, 1 << 20, "?format=tar", 24}, {4 << 20, 32 << 10, "?format=tar", 24}, {4 << 20, 1 << 20, "?format=raw", 3}, {1 << 30, 1 << 20, "?format=raw", 24}, {4 << 20, 32 << 10, "?format=raw", 24}} {
		synctest.Test(t, func(t *testing.T) {
			one := blocks.New(cid.Raw, make([]byte, c.size))
			dial, end := webtest.Pipes(t, gateway.New(service(t, nil, one), gateway.Config{Memory: c.memory}))
			said := make(chan string, 24)
			for range 24 {
				here := dial()
				go func() { // ends with its first bytes
					fmt.Fprintf(here, "GET /ipfs/%s%s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", one.Cid(), c.query)
					line := make([]byte, len("HTTP/1.1 200"))
					_, _ = io.ReadFull(here, line)
					said <- string(line)
				}()
			}
			begun, busy := 0, 0
			for range 24 {
				switch line := <-said; line {
				case "HTTP/1.1 200":
					begun++
				case "HTTP/1.1 429":
					busy++
				default:
					t.Errorf("%q", line)
				}
			}
			if begun != c.want || busy != 24-c.want {
				t.Errorf("%d of %d bytes%s: %d are being sent, want %d", c.memory, c.size, c.query, begun, c.want)
			}
			end()
		})
	}
}
