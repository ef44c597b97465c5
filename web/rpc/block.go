package rpc

import (
	"errors"
	"io"
	"strconv"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/go-cid"
	mc "github.com/multiformats/go-multicodec"
)

func (s *Server) blockGet(c *call) error {
	arg, err := c.arg("a CID or a path")
	if err != nil {
		return err
	}
	root, err := c.root(arg)
	if err != nil {
		return err
	}
	b, err := s.block(c, root)
	if err != nil {
		return err
	}
	c.w.Header().Set("X-Content-Length", strconv.Itoa(len(b.RawData())))
	_, err = c.Write(b.RawData())
	return err
}

// BlockStat is what is said of a block.
type BlockStat struct {
	Key  string
	Size int
}

func (s *Server) blockStat(c *call) error {
	arg, err := c.arg("a CID or a path")
	if err != nil {
		return err
	}
	root, err := c.root(arg)
	if err != nil {
		return err
	}
	b, err := s.block(c, root)
	if err != nil {
		return err
	}
	return c.reply(BlockStat{root.String(), len(b.RawData())})
}

// taken reads one block from the form of c, whose codec is the option name or otherwise.
func (c *call) taken(codec uint64) (blocks.Block, error) {
	if v := c.opts.Get("mhtype"); v != "" && v != "sha2-256" {
		return blocks.Block{}, refuse("mhtype %q: this peer writes sha2-256", v)
	}
	if v := c.opts.Get("mhlen"); v != "" && v != "-1" && v != "32" {
		return blocks.Block{}, refuse("mhlen %q: this peer writes whole digests", v)
	}
	f, err := c.file()
	if err != nil {
		return blocks.Block{}, err
	}
	data, err := io.ReadAll(io.LimitReader(f, blocks.MaxSize+1))
	if err != nil {
		return blocks.Block{}, err
	}
	if len(data) > blocks.MaxSize {
		return blocks.Block{}, refuse("a block of more than %d bytes", blocks.MaxSize)
	}
	return blocks.New(codec, data), nil
}

// codec reads the name of one.
func (c *call) codec(option string, otherwise mc.Code) (mc.Code, error) {
	name := c.opts.Get(option)
	if name == "" {
		return otherwise, nil
	}
	var code mc.Code
	if err := code.Set(name); err != nil {
		return 0, refuse("%s %q: there is no such codec", option, name)
	}
	return code, nil
}

func (s *Server) importer() (Importer, error) {
	n, ok := s.n.(Importer)
	if !ok {
		return nil, lacking("this peer takes no blocks that others made")
	}
	return n, nil
}

func (s *Server) blockPut(c *call) error {
	n, err := s.importer()
	if err != nil {
		return err
	}
	codec, err1 := c.codec("cid-codec", mc.Raw)
	pin, err2 := c.flag("pin", false)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	v0 := false
	switch format := c.opts.Get("format"); format { // older than cid-codec
	case "":
	case "v0":
		codec, v0 = mc.DagPb, true
	case "protobuf":
		codec = mc.DagPb
	case "cbor":
		codec = mc.DagCbor
	default:
		if codec, err = c.codec("format", mc.Raw); err != nil {
			return err
		}
	}
	b, err := c.taken(uint64(codec))
	if err != nil {
		return err
	}
	if v0 {
		if b, err = blocks.Check(cid.NewCidV0(b.Hash()), b.RawData()); err != nil {
			return err
		}
	}
	if err := n.KeepBlock(c, b, pin); err != nil {
		return err
	}
	return c.reply(BlockStat{b.Cid().String(), len(b.RawData())})
}
