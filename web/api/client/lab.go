package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cairn-network/cairn/web/api"
)

// Link says how the line of a peer of a testnet is.
func (c *Client) Link(ctx context.Context) (l api.Link, err error) {
	err = c.ask(ctx, "/api/v1/testnet/link", nil, &l)
	return l, err
}

// SetLink gives the line of a peer of a testnet latency, jitter and rate; zero
// takes each away. It answers with how the line is now.
func (c *Client) SetLink(ctx context.Context, to api.Link) (l api.Link, err error) {
	q := url.Values{}
	if to.Latency != 0 {
		q.Set("latency", time.Duration(to.Latency).String())
	}
	if to.Jitter != 0 {
		q.Set("jitter", time.Duration(to.Jitter).String())
	}
	if to.Rate != 0 {
		q.Set("rate", strconv.FormatInt(to.Rate, 10))
	}
	err = c.told(ctx, call{method: http.MethodPut, path: "/api/v1/testnet/link", query: q}, &l)
	return l, err
}

// Flow makes a peer of a testnet send n bytes to another one, which it is connected
// to, over one bare stream; the answer says how long that took.
func (c *Client) Flow(ctx context.Context, to string, n int64) (f api.Flow, err error) {
	q := url.Values{"to": {to}, "bytes": {strconv.FormatInt(n, 10)}}
	err = c.told(ctx, call{method: http.MethodPost, path: "/api/v1/testnet/flow", query: q}, &f)
	return f, err
}

// Kept says which of cs a peer of a testnet has and keeps, as its own disk shows.
func (c *Client) Kept(ctx context.Context, cs ...string) ([]bool, error) {
	var k api.Kept
	err := c.ask(ctx, "/api/v1/testnet/blocks", url.Values{"cids": {strings.Join(cs, ",")}}, &k)
	return k.Kept, err
}

// Lose makes a peer of a testnet lose blocks without a word to others. It answers with
// which of them it had.
func (c *Client) Lose(ctx context.Context, cs ...string) ([]bool, error) {
	var k api.Kept
	err := c.told(ctx, call{method: http.MethodDelete, path: "/api/v1/testnet/blocks", query: url.Values{"cids": {strings.Join(cs, ",")}}}, &k)
	return k.Kept, err
}

// told sends q and reads a JSON answer.
func (c *Client) told(ctx context.Context, q call, into any) error {
	res, err := c.do(ctx, q)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(into); err != nil {
		return fmt.Errorf("client: %s: %w", q.path, err)
	}
	return nil
}
