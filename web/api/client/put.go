package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
)

// Put sends what r gives until EOF and waits as o says; tell, if not nil, hears
// of progress. An *[Error] with [api.CodeShort] comes with a receipt: the file is
// kept by the peer, with fewer copies than were asked for. If r fails, its error
// is answered and nothing is kept. When Put gives up before the end of r, one
// Read of r may still be going on; no other follows.
func (c *Client) Put(ctx context.Context, r io.Reader, o blocks.PutOptions, tell func(blocks.Progress)) (blocks.Receipt, error) {
	return c.put(ctx, "application/octet-stream", r, o, tell)
}

// PutTree sends the tree that a tar holds, as [Client.Put] sends a file.
func (c *Client) PutTree(ctx context.Context, tar io.Reader, o blocks.PutOptions, tell func(blocks.Progress)) (blocks.Receipt, error) {
	return c.put(ctx, "application/x-tar", tar, o, tell)
}

func (c *Client) put(ctx context.Context, kind string, r io.Reader, o blocks.PutOptions, tell func(blocks.Progress)) (blocks.Receipt, error) {
	src := &source{r: r}
	defer src.stop()
	header := http.Header{"Content-Type": {kind}, "Expect": {"100-continue"}}
	res, err := c.do(ctx, call{method: http.MethodPost, path: "/api/v1/put", query: putQuery(o), header: header, body: src})
	if err == nil {
		defer res.Body.Close()
		var last api.SummaryLine
		var receipt blocks.Receipt
		receipt, err = follow(res, tell, &last)
		switch {
		case err == nil:
			return last.Parse()
		case src.failure() == nil:
			return receipt, err
		}
	}
	if own := src.failure(); own != nil { // it broke the connection
		err = fmt.Errorf("client: put: %w", own)
	}
	return blocks.Receipt{}, err
}

// follow reads the lines that answer a put or a pin, to the last, which is read into
// summary. The receipt is that of an error.
func follow(res *http.Response, tell func(blocks.Progress), summary any) (blocks.Receipt, error) {
	return followLines(res, func(line json.RawMessage) error {
		var s api.StatusLine
		err := json.Unmarshal(line, &s)
		if err == nil && tell != nil {
			tell(s.Progress)
		}
		return err
	}, summary)
}

// followLines is follow for any kind of status line.
func followLines(res *http.Response, status func(json.RawMessage) error, summary any) (blocks.Receipt, error) {
	if kind := res.Header.Get("Content-Type"); kind != "application/x-ndjson" {
		return blocks.Receipt{}, stranger(res.StatusCode, "answers "+kind)
	}
	lines := json.NewDecoder(res.Body)
	for {
		var line json.RawMessage
		var head struct{ Type string }
		err := lines.Decode(&line)
		if err == nil {
			err = json.Unmarshal(line, &head)
		}
		if err == nil {
			switch head.Type {
			case api.LineStatus:
				err = status(line)
			case api.LineSummary:
				if err = json.Unmarshal(line, summary); err == nil {
					return blocks.Receipt{}, nil
				}
			case api.LineError:
				var e api.ErrorLine
				if err = json.Unmarshal(line, &e); err == nil {
					return short(e)
				}
			}
		}
		switch {
		case err == io.EOF: //nolint:errorlint // Decode says EOF itself
			return blocks.Receipt{}, fmt.Errorf("client: the answer has no end: %w", io.ErrUnexpectedEOF)
		case err != nil:
			return blocks.Receipt{}, fmt.Errorf("client: %w", err)
		}
	}
}

// short makes an error of a last line, with the receipt if it has one.
func short(e api.ErrorLine) (receipt blocks.Receipt, err error) {
	if e.Receipt != nil {
		if receipt, err = e.Receipt.Parse(); err != nil {
			return receipt, err
		}
	}
	return receipt, &Error{Status: http.StatusOK, Code: e.Code, Title: e.Code, Detail: e.Message, Hint: e.Hint}
}

func putQuery(o blocks.PutOptions) url.Values {
	q := url.Values{}
	set := func(name, value string, really bool) {
		if really {
			q.Set(name, value)
		}
	}
	set("name", o.Name, o.Name != "")
	set("wait", string(o.Wait), o.Wait != "")
	set("replicas", strconv.Itoa(o.Replicas), o.Replicas != 0)
	set("fanout", strconv.Itoa(o.Fanout), o.Fanout != 0)
	set("expires", o.Expires.String(), o.Expires != 0)
	set("profile", o.Profile, o.Profile != "")
	set("announce", "true", o.Announce)
	set("place", "false", o.NoPlace)
	return q
}

// source is the body of a put. The transport reads it in a goroutine of its own
// and may outlive the call; stop takes r away from it.
type source struct {
	r io.Reader

	mu      sync.Mutex
	err     error // of r, but io.EOF
	stopped bool
}

func (s *source) Read(p []byte) (int, error) {
	s.mu.Lock()
	stopped := s.stopped
	s.mu.Unlock()
	if stopped {
		return 0, errors.New("client: put has returned")
	}
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // io.Reader says EOF itself
		s.mu.Lock()
		s.err = err
		s.mu.Unlock()
	}
	return n, err
}

// sendBytes is how much of a body goes to the peer at once: the transport's own 32 KiB
// cost the two of them more system calls than the bytes cost copying.
const sendBytes = 256 << 10

// WriteTo is Read until the end, in larger pieces.
func (s *source) WriteTo(w io.Writer) (sent int64, err error) {
	b := make([]byte, sendBytes)
	for {
		n, err := s.Read(b)
		if n > 0 {
			m, failed := w.Write(b[:n])
			if sent += int64(m); failed != nil {
				return sent, failed
			}
		}
		switch {
		case err == io.EOF: //nolint:errorlint // io.Reader says EOF itself
			return sent, nil
		case err != nil:
			return sent, err
		}
	}
}

func (s *source) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
}

func (s *source) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
