package gateway

import (
	"bufio"
	"net"
	"net/http"
	"time"
)

// writeTime is how long a client may take none of what is written to it.
const writeTime = 60 * time.Second

// patient is a ResponseWriter whose patience with a client that does not read
// has an end. boxo's own limit starts only between two writes.
type patient struct {
	http.ResponseWriter
	rc *http.ResponseController
}

func (p *patient) Write(b []byte) (int, error) {
	if err := p.rc.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return 0, err
	}
	return p.ResponseWriter.Write(b)
}

// Flush and Hijack are what boxo looks for.
func (p *patient) Flush()                                       { _ = p.rc.Flush() }
func (p *patient) Hijack() (net.Conn, *bufio.ReadWriter, error) { return p.rc.Hijack() }
