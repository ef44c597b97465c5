package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
)

// RepoStat says what the peer keeps, and what that takes.
func (c *Client) RepoStat(ctx context.Context) (stat blocks.RepoStat, err error) {
	err = c.ask(ctx, "/api/v1/repo", nil, &stat)
	return stat, err
}

// RepoVerify makes the peer hash every block, and get those anew whose bytes are wrong.
func (c *Client) RepoVerify(ctx context.Context, tell func(blocks.Done)) (blocks.Verified, error) {
	var last api.VerifiedLine
	err := c.task(ctx, "/api/v1/repo/verify", nil, tell, &last)
	return last.Verified, err
}

// RepoGC makes the peer forget what nobody wants there, until want bytes are free; 0 is all of it.
func (c *Client) RepoGC(ctx context.Context, want int64, tell func(blocks.Done)) (blocks.Swept, error) {
	q := url.Values{}
	if want > 0 {
		q.Set("want", strconv.FormatInt(want, 10))
	}
	var last api.SweptLine
	err := c.task(ctx, "/api/v1/repo/gc", q, tell, &last)
	return last.Swept, err
}

// RepoCompact makes the peer give its disk the space back that forgotten blocks take.
func (c *Client) RepoCompact(ctx context.Context, tell func(blocks.Done)) (blocks.Compacted, error) {
	var last api.CompactedLine
	err := c.task(ctx, "/api/v1/repo/compact", nil, tell, &last)
	return last.Compacted, err
}

// task follows a task to its end, which is read into summary.
func (c *Client) task(ctx context.Context, path string, q url.Values, tell func(blocks.Done), summary any) error {
	res, err := c.do(ctx, call{method: http.MethodPost, path: path, query: q})
	if err != nil {
		return err
	}
	defer res.Body.Close()
	err = followLines(res, func(line json.RawMessage) error {
		var s api.TaskLine
		err := json.Unmarshal(line, &s)
		if err == nil && tell != nil {
			tell(s.Done)
		}
		return err
	}, summary, nil)
	return err
}
