package gateway_test

import (
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/web/gateway"
	"github.com/cairn-network/cairn/web/webtest"
	"github.com/libp2p/go-libp2p/core/peer"
)

// a client that takes nothing is let go within a minute, also when the answer is so short
// that it is sent after its handler has ended. The control: one that takes it has it.
func TestAnAnswerThatNobodyTakesIsGivenUp(t *testing.T) {
	for _, path := range []string{"/ipfs/bafkqaaa", "/nothing", "/ipfs/nonsense", "/routing/v1/providers/bafkqaaa"} {
		for _, takes := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				dial, end := webtest.Pipes(t, gateway.New(service(t, nil), gateway.Config{Routing: atlas{ids: []peer.ID{"one", "two"}}}))
				ours := dial()
				fmt.Fprintf(ours, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", path)
				if !takes {
					time.Sleep(time.Minute)
				}
				synctest.Wait()
				n, err := ours.Read(make([]byte, 1))
				if taken := n == 1 && err == nil; taken != takes {
					t.Errorf("%s: %d bytes, %v", path, n, err)
				}
				end()
			})
		}
	}
}

// a client that takes 10 bytes a second is let go within a minute; one that takes
// 4 KiB a second has all of it in its time.
func TestASlowReaderIsLetGo(t *testing.T) {
	for name, c := range map[string]struct {
		each  int
		whole bool
	}{"10 B/s": {10, false}, "4 KiB/s": {4 << 10, true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bs := service(t, nil)
				root := leaves(t, bs, 4, 0)
				dial, end := webtest.Pipes(t, gateway.New(bs, gateway.Config{}))
				ours := dial()
				fmt.Fprintf(ours, "GET /ipfs/%s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", root.Cid())
				begin, got, buf := time.Now(), 0, make([]byte, c.each)
				for {
					n, err := io.ReadFull(ours, buf)
					got += n
					if err != nil {
						break
					}
					time.Sleep(time.Second)
				}
				if took := time.Since(begin); !c.whole && took > time.Minute {
					t.Errorf("let go after %s", took)
				}
				if whole := got > 1<<20; whole != c.whole {
					t.Errorf("%d bytes in %s", got, time.Since(begin))
				}
				end()
			})
		})
	}
}
