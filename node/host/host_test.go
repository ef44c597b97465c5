package host_test

import (
	"net"
	"strings"
	"testing"

	"github.com/cairn-network/cairn/node/host"
)

// A port that somebody has is named, and nothing is started beside it.
func TestTakenPortIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	addr := "/ip4/127.0.0.1/tcp/" + port
	if _, err := host.New(host.Config{Listen: []string{"/ip4/127.0.0.1/tcp/0", addr}, Private: true}); err == nil || !strings.Contains(err.Error(), addr+" is in use") {
		t.Errorf("err = %v, want one that names %s", err, addr)
	}
}
