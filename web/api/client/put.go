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
	var last api.SummaryLine
	var failed api.ErrorLine
	answered, err := c.send(ctx, "/api/v1/put", kind, putQuery(o), r, tell, &last, &failed)
	switch {
	case err == nil:
		return last.Parse()
	case answered && failed.Receipt != nil:
		receipt, bad := failed.Receipt.Parse()
		if bad != nil {
			return receipt, bad
		}
		return receipt, err
	}
	return blocks.Receipt{}, err
}

// send sends what r gives and reads the lines of the answer, the last into summary or failed.
// answered is false when r failed.
func (c *Client) send(ctx context.Context, path, kind string, q url.Values, r io.Reader, tell func(blocks.Progress), summary any, failed *api.ErrorLine) (answered bool, err error) {
	src := &source{r: r}
	defer src.stop()
	header := http.Header{"Content-Type": {kind}, "Expect": {"100-continue"}}
	res, err := c.do(ctx, call{method: http.MethodPost, path: path, query: q, header: header, body: src})
	if err == nil {
		defer res.Body.Close()
		err = followLines(res, statusTo(tell), summary, failed)
		if err == nil || src.failure() == nil {
			return true, err
		}
	}
	if own := src.failure(); own != nil { // it broke the connection
		err = fmt.Errorf("client: put: %w", own)
	}
	return false, err
}

// statusTo reads status lines of a put.
func statusTo(tell func(blocks.Progress)) func(json.RawMessage) error {
	return func(line json.RawMessage) error {
		var s api.StatusLine
		err := json.Unmarshal(line, &s)
		if err == nil && tell != nil {
			tell(s.Progress)
		}
		return err
	}
}

// follow reads the lines that answer a pin, to the last, which is read into summary.
func follow(res *http.Response, tell func(blocks.Progress), summary any) error {
	return followLines(res, statusTo(tell), summary, nil)
}

// followLines reads the lines of an answer with any kind of status line. An error line is
// also left in failed, unless that is nil.
func followLines(res *http.Response, status func(json.RawMessage) error, summary any, failed *api.ErrorLine) error {
	if kind := res.Header.Get("Content-Type"); kind != "application/x-ndjson" {
		return stranger(res.StatusCode, "answers "+kind)
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
					return nil
				}
			case api.LineError:
				var e api.ErrorLine
				if err = json.Unmarshal(line, &e); err == nil {
					if failed != nil {
						*failed = e
					}
					return &Error{Status: http.StatusOK, Code: e.Code, Title: e.Code, Detail: e.Message, Hint: e.Hint}
				}
			}
		}
		switch {
		case err == io.EOF: //nolint:errorlint // Decode says EOF itself
			return fmt.Errorf("client: the answer has no end: %w", io.ErrUnexpectedEOF)
		case err != nil:
			return fmt.Errorf("client: %w", err)
		}
	}
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
	set("expires", o.Expires.String(), o.Expires != 0)
	set("profile", o.Profile, o.Profile != "")
	set("chunk", strconv.FormatInt(o.Chunk, 10), o.Chunk != 0)
	set("leaves", string(o.Leaves), o.Leaves != "")
	set("cid_version", string(o.CIDs), o.CIDs != "")
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
