package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
)

// Get opens the file that path names, from offset on; length 0 is to its end.
// size is the number of bytes that will come. A file that is cut on its way
// gives io.ErrUnexpectedEOF, never a clean end.
func (c *Client) Get(ctx context.Context, path string, offset, length int64) (r io.ReadCloser, size int64, err error) {
	header := http.Header{}
	switch {
	case length > 0:
		header.Set("Range", fmt.Sprintf("bytes=%d-%d", offset, offset+length-1))
	case offset > 0:
		header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
	res, err := c.do(ctx, call{method: http.MethodGet, path: "/api/v1/get", query: url.Values{"path": {path}}, header: header})
	if err != nil {
		return nil, 0, err
	}
	ranged := res.StatusCode == http.StatusPartialContent || res.ContentLength == 0 // of an empty file there is no range
	if res.Header.Get("X-Cid") == "" || res.ContentLength < 0 || header.Get("Range") != "" && !ranged {
		defer res.Body.Close()
		return nil, 0, stranger(res.StatusCode, "answers without saying what and how much")
	}
	return res.Body, res.ContentLength, nil
}

// Health asks how well everything under path is kept; detail asks for every block.
func (c *Client) Health(ctx context.Context, path string, detail bool) (blocks.Health, error) {
	var h api.Health
	q := url.Values{"path": {path}, "detail": {strconv.FormatBool(detail)}}
	if err := c.ask(ctx, "/api/v1/health", q, &h); err != nil {
		return blocks.Health{}, err
	}
	return h.Parse()
}
