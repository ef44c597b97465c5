package api_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-network/cairn/web/api"
	"github.com/cairn-network/cairn/web/webtest"
)

// who has no token and takes no answer is let go, also when that is so short that it is
// sent after its handler has ended, and from the page. The control: one that takes it has it.
func TestAnAnswerThatNobodyTakesIsGivenUp(t *testing.T) {
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) })
	for _, path := range []string{"/healthz", "/api/v1/id", "/nothing", "/ui/app.js"} {
		for _, takes := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				dial, end := webtest.Pipes(t, api.New(node(""), api.Config{Token: token, Page: page}))
				ours := dial()
				fmt.Fprintf(ours, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", path)
				if !takes {
					time.Sleep(2 * time.Minute)
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
