package client

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cairn-network/cairn/web/api"
)

// The limits of the waits.
const (
	dialTime   = 5 * time.Second
	headerTime = 70 * time.Second // the API's own limits are 60 s: its answer says more than our giving up
	idleTime   = 70 * time.Second // for the next byte of an answer
	updateTime = 45 * time.Second // the same for updates: three signs of life
	expectTime = 5 * time.Second  // for leave to send a body
	maxAnswer  = 256 << 20        // bytes of an answer that is read at one go
)

// Client speaks to one peer. It may be used by many goroutines at once.
type Client struct {
	base, token string
	http        *http.Client
	idle        time.Duration
	updateIdle  time.Duration
}

// New makes a client of the API at base, as http://127.0.0.1:5101.
func New(base, token string) *Client {
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	return &Client{
		base: strings.TrimRight(base, "/"), token: token, idle: idleTime, updateIdle: updateTime,
		http: &http.Client{
			Transport: &http.Transport{
				DialContext:           (&net.Dialer{Timeout: dialTime}).DialContext,
				TLSHandshakeTimeout:   dialTime,
				ResponseHeaderTimeout: headerTime,
				ExpectContinueTimeout: expectTime,
				IdleConnTimeout:       10 * time.Second,
				DisableCompression:    true,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Close lets go of connections that are kept for a next call.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// call is one request.
type call struct {
	method, path string
	query        url.Values
	header       http.Header
	body         io.Reader
	idle         time.Duration // limit of a wait for the next byte of the answer; 0 is the client's
}

// do sends a request and answers with a response of status 200 or 206, or an
// error. Its body reports every kind of breaking off, and must be closed.
func (c *Client) do(ctx context.Context, q call) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	u := c.base + q.path
	if len(q.query) > 0 {
		u += "?" + q.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, q.method, u, q.body)
	if err != nil {
		cancel(nil)
		return nil, &UnreachableError{c.base, err}
	}
	maps.Copy(req.Header, q.header)
	req.Header.Set("Authorization", "Bearer "+c.token)
	res, err := c.http.Do(req)
	if err != nil {
		defer cancel(nil)
		return nil, c.failed(ctx, err)
	}
	res.Body = &answer{
		ReadCloser: res.Body, idle: cmp.Or(q.idle, c.idle), cancel: cancel,
		cancelled: func() error { return context.Cause(ctx) },
	}
	if res.StatusCode == http.StatusOK || res.StatusCode == http.StatusPartialContent {
		return res, nil
	}
	defer res.Body.Close()
	return nil, problem(res)
}

// failed says why no answer came.
func (c *Client) failed(ctx context.Context, err error) error {
	var out *url.Error
	if errors.As(err, &out) {
		err = out.Err // the URL is said once
	}
	var dial *net.OpError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("client: %w", context.Cause(ctx))
	case errors.As(err, &dial) && dial.Op == "dial":
		return &UnreachableError{c.base, err}
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("client: %s: %w", c.base, err)
	}
	return &UnreachableError{c.base, err}
}

// ask gets a JSON answer.
func (c *Client) ask(ctx context.Context, path string, q url.Values, into any) error {
	res, err := c.do(ctx, call{method: http.MethodGet, path: path, query: q})
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if kind := res.Header.Get("Content-Type"); kind != "application/json" {
		return stranger(res.StatusCode, "answers "+kind)
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(into); err != nil {
		return fmt.Errorf("client: %s: %w", path, err)
	}
	return nil
}

// ID says who the peer is and how it is doing.
func (c *Client) ID(ctx context.Context) (id api.ID, err error) {
	err = c.ask(ctx, "/api/v1/id", nil, &id)
	return id, err
}

// Peers gives the peers that the peer is connected to.
func (c *Client) Peers(ctx context.Context) (peers []api.Peer, err error) {
	err = c.ask(ctx, "/api/v1/peers", nil, &peers)
	return peers, err
}

// Version says what the peer runs.
func (c *Client) Version(ctx context.Context) (v api.Version, err error) {
	err = c.ask(ctx, "/api/v1/version", nil, &v)
	return v, err
}

// Ready answers nil when the peer can be used, and an *[Error] with
// [api.CodeUnavailable] while it starts.
func (c *Client) Ready(ctx context.Context) error {
	var r api.Ready
	return c.ask(ctx, "/readyz", nil, &r)
}
