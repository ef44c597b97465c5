package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
)

// Leases gives the peer's own leases.
func (c *Client) Leases(ctx context.Context) ([]blocks.LeaseInfo, error) {
	var all []api.Lease
	if err := c.ask(ctx, "/api/v1/leases", nil, &all); err != nil {
		return nil, err
	}
	out := make([]blocks.LeaseInfo, len(all))
	for i, l := range all {
		var err error
		if out[i], err = l.Parse(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Renew makes others keep path for expires from now on; 0 is as long as the last time.
func (c *Client) Renew(ctx context.Context, path string, expires time.Duration) (blocks.LeaseInfo, error) {
	return c.Lease(ctx, path, blocks.LeaseOptions{Expires: expires})
}

// Lease is Renew for who chooses the number of copies too.
func (c *Client) Lease(ctx context.Context, path string, o blocks.LeaseOptions) (blocks.LeaseInfo, error) {
	q := url.Values{"path": {path}}
	setLease(q, o)
	return c.lease(ctx, http.MethodPost, q)
}

func setLease(q url.Values, o blocks.LeaseOptions) {
	if o.Expires != 0 {
		q.Set("expires", o.Expires.String())
	}
	if o.Replicas != 0 {
		q.Set("replicas", strconv.Itoa(o.Replicas))
	}
}

// Withdraw takes the peer's lease of path back.
func (c *Client) Withdraw(ctx context.Context, path string) (blocks.LeaseInfo, error) {
	return c.lease(ctx, http.MethodDelete, url.Values{"path": {path}})
}

func (c *Client) lease(ctx context.Context, method string, q url.Values) (blocks.LeaseInfo, error) {
	res, err := c.do(ctx, call{method: method, path: "/api/v1/leases", query: q})
	if err != nil {
		return blocks.LeaseInfo{}, err
	}
	defer res.Body.Close()
	var l api.Lease
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&l); err != nil {
		return blocks.LeaseInfo{}, fmt.Errorf("client: lease: %w", err)
	}
	return l.Parse()
}
