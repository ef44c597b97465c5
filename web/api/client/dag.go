package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/cairn-network/cairn/blocks"
	"github.com/cairn-network/cairn/web/api"
	"github.com/ipfs/go-cid"
)

// Import sends a CAR, as [Client.Put] sends a file. With [api.CodeShort] all of it is kept, and
// what it says of the roots stands.
func (c *Client) Import(ctx context.Context, car io.Reader, o blocks.ImportOptions, tell func(blocks.Progress)) (blocks.Imported, error) {
	return c.imports(ctx, "/api/v1/dag/import", "application/vnd.ipld.car", importQuery(o), car, tell)
}

// PutBlock sends one block, of a codec and under a hash function by their names; "" is raw, and sha2-256.
func (c *Client) PutBlock(ctx context.Context, data []byte, codec, function string, o blocks.ImportOptions, tell func(blocks.Progress)) (blocks.Imported, error) {
	q := importQuery(o)
	if codec != "" {
		q.Set("codec", codec)
	}
	if function != "" {
		q.Set("mhtype", function)
	}
	return c.imports(ctx, "/api/v1/block", "application/vnd.ipld.raw", q, bytes.NewReader(data), tell)
}

func importQuery(o blocks.ImportOptions) url.Values {
	q := putQuery(o.PutOptions)
	if o.NoPin {
		q.Set("pin", "false")
	}
	return q
}

func (c *Client) imports(ctx context.Context, path, kind string, q url.Values, r io.Reader, tell func(blocks.Progress)) (blocks.Imported, error) {
	var last api.ImportLine
	var failed api.ErrorLine
	_, err := c.send(ctx, path, kind, q, r, tell, &last, &failed)
	switch {
	case err == nil:
		return last.Parse()
	case failed.Import != nil:
		out, bad := failed.Import.Parse()
		if bad != nil {
			return out, bad
		}
		return out, err
	}
	return blocks.Imported{}, err
}

// Export opens the CAR of everything under path. One that is cut off gives
// io.ErrUnexpectedEOF; [Client.DAGStat] may know why.
func (c *Client) Export(ctx context.Context, path string) (io.ReadCloser, error) {
	res, err := c.do(ctx, call{method: http.MethodGet, path: "/api/v1/dag/export", query: url.Values{"path": {path}}})
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

// DAGStat says how much is under path.
func (c *Client) DAGStat(ctx context.Context, path string) (blocks.DAGStat, error) {
	var s api.DAGStat
	if err := c.ask(ctx, "/api/v1/dag/stat", url.Values{"path": {path}}, &s); err != nil {
		return blocks.DAGStat{}, err
	}
	root, err := cid.Decode(s.CID)
	if err != nil {
		return blocks.DAGStat{}, fmt.Errorf("client: dag stat: %w", err)
	}
	return blocks.DAGStat{Root: root, Blocks: s.Blocks, Bytes: s.Bytes}, nil
}

// Block gives the block that path names, checked here too.
func (c *Client) Block(ctx context.Context, path string) (blocks.Block, error) {
	res, err := c.do(ctx, call{method: http.MethodGet, path: "/api/v1/block", query: url.Values{"path": {path}}})
	if err != nil {
		return blocks.Block{}, err
	}
	defer res.Body.Close()
	id, err := cid.Decode(res.Header.Get("X-Cid"))
	if err != nil {
		return blocks.Block{}, stranger(res.StatusCode, "answers without saying what")
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, blocks.MaxSize+1))
	if err != nil {
		return blocks.Block{}, fmt.Errorf("client: block: %w", err)
	}
	return blocks.Check(id, data)
}

// BlockStat says how long the block is that path names.
func (c *Client) BlockStat(ctx context.Context, path string) (blocks.BlockStat, error) {
	var s api.BlockStat
	if err := c.ask(ctx, "/api/v1/block/stat", url.Values{"path": {path}}, &s); err != nil {
		return blocks.BlockStat{}, err
	}
	id, err := cid.Decode(s.CID)
	if err != nil {
		return blocks.BlockStat{}, fmt.Errorf("client: block stat: %w", err)
	}
	return blocks.BlockStat{CID: id, Size: s.Size}, nil
}
