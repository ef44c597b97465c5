package api_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
	"github.com/ipfs/go-cid"
)

func TestGetGivesTheFileAsAnAttachment(t *testing.T) {
	srv := serve(t, node("hello world"), api.Config{})
	root := blocks.New(cid.Raw, []byte("hello world")).Cid().String()
	for _, method := range []string{"GET", "HEAD"} {
		res := ask(t, srv, method, "/api/v1/get?path="+root+"/dir/a%22b.html", nil, nil)
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != 200 || method == "GET" && string(body) != "hello world" {
			t.Errorf("%s: %d %q %v", method, res.StatusCode, body, err)
		}
		for k, want := range map[string]string{
			"X-Cid": root, "Etag": `"` + root + `"`, "Content-Type": "application/octet-stream", "Content-Length": "11",
			"Content-Disposition": `attachment; filename="a\"b.html"`, "Accept-Ranges": "bytes",
		} {
			if got := res.Header.Get(k); got != want {
				t.Errorf("%s: %s is %q, want %q", method, k, got, want)
			}
		}
	}
}

func TestGetServesOneRange(t *testing.T) {
	srv := serve(t, node("hello world"), api.Config{})
	for _, c := range []struct {
		header, want string
		status       int
	}{
		{"bytes=0-4", "hello", 206},
		{"bytes=6-", "world", 206},
		{"bytes=-1", "d", 206},
		{"bytes=0-0,2-3,4-5", "h", 206},
		{"bytes=0-99999999999999999999", "", 416},
		{"bytes=11-", "", 416},
		{"nonsense", "", 416},
	} {
		res := ask(t, srv, "GET", "/api/v1/get?path=x", nil, func(r *http.Request) { r.Header.Set("Range", c.header) })
		if c.status == 416 {
			if p := problem(t, res); p.Status != 416 || !strings.Contains(p.Detail, "11 bytes") {
				t.Errorf("%s: %+v", c.header, p)
			}
			continue
		}
		if body, err := io.ReadAll(res.Body); err != nil || res.StatusCode != c.status || string(body) != c.want {
			t.Errorf("%s: %d %q %v", c.header, res.StatusCode, body, err)
		}
	}
}

func TestGetKnowsItsETag(t *testing.T) {
	srv := serve(t, node("x"), api.Config{})
	etag := ask(t, srv, "HEAD", "/api/v1/get?path=x", nil, nil).Header.Get("Etag")
	res := ask(t, srv, "GET", "/api/v1/get?path=x", nil, func(r *http.Request) { r.Header.Set("If-None-Match", etag) })
	if res.StatusCode != 304 {
		t.Errorf("got %d", res.StatusCode)
	}
}

func TestErrorsBecomeTheirProblems(t *testing.T) {
	root := blocks.New(cid.Raw, []byte("x")).Cid()
	for _, c := range []struct {
		err    error
		status int
		code   string
		detail string
	}{
		{&blocks.PathError{Path: "bafy!", Offset: 4, Reason: "not base32"}, 400, "usage", "character 5"},
		{fmt.Errorf("get: %w", &blocks.MissError{CID: root, Asked: 20}), 404, "not_found", "asked 20 peers"},
		{blocks.NotFound(root), 404, "not_found", "could not find"},
		{fmt.Errorf("get: %w", context.DeadlineExceeded), 504, "timeout", "deadline"},
		{fmt.Errorf("get: %w", blocks.ErrMismatch), 502, "integrity", "do not match"},
		{fmt.Errorf("get: %w", blocks.ErrFull), 507, "full", "space"},
		{errors.New("odd"), 500, "internal", "odd"},
	} {
		n := node("")
		n.open = func(context.Context, string) (api.File, error) { return nil, c.err }
		n.health = func(context.Context, string, bool) (blocks.Health, error) { return blocks.Health{}, c.err }
		srv := serve(t, n, api.Config{})
		for _, route := range []string{"get", "health"} {
			p := problem(t, ask(t, srv, "GET", "/api/v1/"+route+"?path=x", nil, nil))
			if p.Status != c.status || p.Code != c.code || !strings.Contains(p.Detail, c.detail) {
				t.Errorf("%s: %v became %+v", route, c.err, p)
			}
		}
	}
}

func TestGetFailsCleanlyBeforeTheFirstByteAndHardAfterIt(t *testing.T) {
	root := blocks.New(cid.Raw, []byte("x")).Cid()
	data := []byte(strings.Repeat("x", 1<<20))
	for i, at := range []int64{0, 1, 4096, 1<<20 - 1, 0, 1, 4096, 1<<20 - 1} {
		n := node("")
		n.open = func(context.Context, string) (api.File, error) {
			f := newFile(data)
			f.failAt, f.err = at, &blocks.MissError{CID: root, Asked: 9}
			if i < 4 {
				return struct{ api.File }{f}, nil // it cannot write itself
			}
			return f, nil
		}
		res := ask(t, serve(t, n, api.Config{}), "GET", "/api/v1/get?path=x", nil, nil)
		if at == 0 {
			if p := problem(t, res); p.Code != api.CodeNotFound || res.Header.Get("Etag") != "" {
				t.Errorf("before the first byte: %+v", p)
			}
			continue
		}
		if got, err := io.ReadAll(res.Body); err == nil {
			t.Errorf("fails at %d: %d bytes with a clean end", at, len(got))
		}
	}
}

func TestAFileThatEndsBeforeItsSizeIsBrokenOff(t *testing.T) {
	n := node("")
	n.open = func(context.Context, string) (api.File, error) {
		f := newFile([]byte("hello"))
		f.failAt, f.err = 3, io.EOF
		return f, nil
	}
	res := ask(t, serve(t, n, api.Config{}), "GET", "/api/v1/get?path=x", nil, nil)
	if got, err := io.ReadAll(res.Body); err == nil {
		t.Errorf("%q with a clean end", got)
	}
}

// stuck is a file whose read waits for ctx.
type stuck struct {
	*file
	ctx context.Context
}

func (s stuck) Read([]byte) (int, error) {
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

func (s stuck) WriteTo(io.Writer) (int64, error) {
	_, err := s.Read(nil)
	return 0, err
}

// A range is what is asked for and no more, whether the file writes itself or is read.
func TestARangeOfAFileThatWritesItself(t *testing.T) {
	data := make([]byte, 3<<20+17)
	for i := range data {
		data[i] = byte(i * 7 >> 3)
	}
	for _, writes := range []bool{true, false} {
		n := node("")
		n.open = func(context.Context, string) (api.File, error) {
			if !writes {
				return struct{ api.File }{newFile(data)}, nil
			}
			return newFile(data), nil
		}
		srv := serve(t, n, api.Config{})
		for _, r := range [][2]int{{0, 1}, {0, len(data)}, {999, 1001}, {1 << 20, 3 << 20}, {len(data) - 1, len(data)}} {
			res := ask(t, srv, "GET", "/api/v1/get?path=x", nil, func(q *http.Request) {
				q.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", r[0], r[1]-1))
			})
			got, err := io.ReadAll(res.Body)
			if err != nil || !bytes.Equal(got, data[r[0]:r[1]]) {
				t.Errorf("%v, writes itself %t: %d bytes, %v", r, writes, len(got), err)
			}
		}
	}
}

func TestGetWithoutProgressEnds(t *testing.T) {
	n := node("")
	cfg := api.Config{Timing: api.Timing{GetIdle: 50 * time.Millisecond, Ask: 50 * time.Millisecond}}
	srv := serve(t, n, cfg)
	n.open = func(ctx context.Context, path string) (api.File, error) {
		if path == "open" {
			<-ctx.Done()
			return nil, fmt.Errorf("get: %w", ctx.Err())
		}
		return stuck{newFile([]byte("hello")), ctx}, nil
	}
	n.health = func(ctx context.Context, _ string, _ bool) (blocks.Health, error) {
		<-ctx.Done()
		return blocks.Health{}, ctx.Err()
	}
	for _, path := range []string{"get?path=open", "get?path=read", "health?path=x"} {
		if p := problem(t, ask(t, srv, "GET", "/api/v1/"+path, nil, nil)); p.Status != 504 || p.Code != api.CodeTimeout {
			t.Errorf("%s: %+v", path, p)
		}
	}
}
