package web_test

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cairn-network/cairn/web"
)

// one address has a few connections, and a new one as soon as it closes another;
// the control: without the limit all of them stay.
func TestOneAddressHasAFewConnections(t *testing.T) {
	for _, c := range []struct{ most, want int }{{3, 3}, {-1, 8}} {
		s, err := web.Listen(web.Config{API: "127.0.0.1:0", Gateway: "127.0.0.1:0", PerIP: c.most})
		if err != nil {
			t.Fatal(err)
		}
		a, g := faces()
		ended := make(chan error, 1)
		go func() { ended <- s.Run(t.Context(), a, g) }()
		open := func() (net.Conn, bool) {
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.GatewayURL(), "http://"))
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
			_, err = conn.Read(make([]byte, 1)) // who is served waits for what is asked
			ne, ok := err.(net.Error)           //nolint:errorlint // net's own
			return conn, ok && ne.Timeout()
		}
		var stay []net.Conn
		for range 8 {
			conn, ok := open()
			defer conn.Close()
			if ok {
				stay = append(stay, conn)
			}
		}
		if len(stay) != c.want {
			t.Errorf("limit %d: %d connections stay, want %d", c.most, len(stay), c.want)
		}
		for _, conn := range stay {
			conn.Close()
		}
		ok := false
		for end := time.Now().Add(5 * time.Second); !ok && time.Now().Before(end); {
			if res, err := http.Get(s.GatewayURL() + "/ipfs/bafkqaaa"); err == nil {
				res.Body.Close()
				ok = res.StatusCode == http.StatusOK
			}
		}
		if !ok {
			t.Errorf("limit %d: no new one when the others are closed", c.most)
		}
		http.DefaultClient.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		<-ended // it could not serve any longer
	}
}
