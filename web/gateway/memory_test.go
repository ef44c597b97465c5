package gateway_test

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairn-network/cairn/web/gateway"
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
			for end := time.Now().Add(5 * time.Second); began.Load() < c.want && time.Now().Before(end); {
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
