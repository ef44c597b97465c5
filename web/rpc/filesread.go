package rpc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"

	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs"
	"github.com/ipfs/boxo/mfs"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
)

// found gives the node that p names, in the mutable files or below /ipfs or /ipns. What is
// below it in the mutable files stays until back is called.
func (s *Server) found(c *call, p string) (nd ipld.Node, back func(), err error) {
	if isImmutable(p) {
		root, err := c.root(p)
		if err != nil {
			return nil, nil, err
		}
		nd, err = merkledag.NewDAGService(s.n.BlockService()).Get(c, root)
		return nd, func() {}, err
	}
	if _, err := s.files.now(); err != nil { // where there are none
		return nil, nil, err
	}
	if p, err = filesPath(p); err != nil {
		return nil, nil, err
	}
	return s.files.at(c, p)
}

// FileStat is what is said of a file or directory.
type FileStat struct {
	Hash           string
	Size           uint64
	CumulativeSize uint64
	Blocks         int
	Type           string
	WithLocality   bool   `json:",omitempty"`
	Local          bool   `json:",omitempty"`
	SizeLocal      uint64 `json:",omitempty"`
	Mode           string `json:",omitempty"` // octal
	Mtime          int64  `json:",omitempty"`
	MtimeNsecs     int    `json:",omitempty"`
}

// plainFormat is the format of Kubo's command line when none is chosen, which it sends too.
const plainFormat = "<hash>\nSize: <size>\nCumulativeSize: <cumulsize>\nChildBlocks: <childs>\nType: <type>\nMode: <mode> (<mode-octal>)\nMtime: <mtime>"

func (s *Server) filesStat(c *call) error {
	arg, err := c.arg("a path")
	if err != nil {
		return err
	}
	var hash, size, local bool
	if err := c.flags(map[string]*bool{"hash": &hash, "size": &size, "with-local": &local}); err != nil {
		return err
	}
	format := c.opts.Get("format")
	if some := []bool{hash, size, format != "" && format != plainFormat}; slices.Index(some, true) >= 0 && slices.Contains(some[slices.Index(some, true)+1:], true) {
		return refuse("invalid parameters: format was set by multiple options. Only one format option is allowed")
	}
	nd, back, err := s.found(c, arg)
	if err != nil {
		return err
	}
	defer back()
	out, err := statOf(nd)
	if err != nil {
		return err
	}
	if local {
		w := localWalk{c: c, ng: merkledag.NewDAGService(blockservice.New(s.n.BlockService().Blockstore(), nil)), seen: map[cid.Cid]amount{}}
		is, err := w.below(c, nd, 0)
		if err != nil {
			return err
		}
		out.WithLocality, out.Local, out.SizeLocal = true, is.whole, is.bytes
	}
	return c.reply(out)
}

func statOf(nd ipld.Node) (out FileStat, err error) {
	total, err := nd.Size()
	if err != nil {
		return out, err
	}
	out = FileStat{Hash: nd.Cid().String(), Size: total, CumulativeSize: total, Type: "file"}
	file, err := isFile(nd)
	if err != nil {
		return out, err
	}
	if !file {
		out.Type = "directory"
	}
	pb, ok := nd.(*merkledag.ProtoNode)
	if !ok {
		return out, nil
	}
	is, err := unixfs.FSNodeFromBytes(pb.Data())
	if err != nil {
		return out, err
	}
	out.Size, out.Blocks = is.FileSize(), len(pb.Links())
	switch mode := is.Mode(); {
	case mode != 0:
		out.Mode = fmt.Sprintf("%04o", uint32(mode))
	case is.Type() == unixfs.TSymlink:
		out.Mode = fmt.Sprintf("%04o", uint32(os.ModeSymlink|0o777))
	}
	if at := is.ModTime(); !at.IsZero() {
		out.Mtime, out.MtimeNsecs = at.Unix(), at.Nanosecond()
	}
	return out, nil
}

// amount is how much of a DAG is here.
type amount struct {
	whole bool
	bytes uint64
}

// localWalk counts what is here below a node, each block as often as it is named, as Kubo does.
type localWalk struct {
	c    *call
	ng   ipld.NodeGetter // of this peer's own
	seen map[cid.Cid]amount
}

func (w localWalk) below(ctx context.Context, nd ipld.Node, depth int) (amount, error) {
	if is, ok := w.seen[nd.Cid()]; ok {
		return is, nil
	}
	if depth > maxDepth || len(w.seen) > maxPending {
		return amount{}, errors.New("rpc: files: too deep or too large to be counted")
	}
	w.c.moved()
	is := amount{whole: true, bytes: uint64(len(nd.RawData()))}
	for _, l := range nd.Links() {
		child, err := w.ng.Get(ctx, l.Cid)
		if ipld.IsNotFound(err) {
			is.whole = false
			continue
		}
		if err != nil {
			return is, err
		}
		below, err := w.below(ctx, child, depth+1)
		if err != nil {
			return is, err
		}
		is.whole, is.bytes = is.whole && below.whole, is.bytes+below.bytes
	}
	w.seen[nd.Cid()] = is
	return is, nil
}

// filesLs lists a directory, or tells of a file.
func (s *Server) filesLs(c *call) error {
	if len(c.args) == 0 {
		c.args = []string{"/"}
	}
	arg, err := c.arg("a path")
	if err != nil {
		return err
	}
	long, err1 := c.flag("long", false)
	stream, err2 := c.flag("stream", false)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	out := struct{ Entries []mfs.NodeListing }{[]mfs.NodeListing{}}
	err = s.listed(c, arg, func(l Link) error {
		e := mfs.NodeListing{Name: l.Name, Hash: l.Hash}
		if long {
			e.Size = int64(l.Size)
		}
		if l.Type == typeDir {
			e.Type = int(mfs.TDir)
		}
		if stream {
			return c.line(struct{ Entries []mfs.NodeListing }{[]mfs.NodeListing{e}})
		}
		c.moved()
		out.Entries = append(out.Entries, e)
		return nil
	})
	if err != nil {
		return err
	}
	if stream {
		c.head(false)
		return nil
	}
	return c.reply(out)
}

// listed gives the entries of what arg names.
func (s *Server) listed(c *call, arg string, give func(Link) error) error {
	p, name := arg, path.Base(arg)
	if !isImmutable(arg) {
		nd, back, err := s.found(c, arg)
		if err != nil {
			return err
		}
		defer back()
		if file, err := isFile(nd); err == nil && !file && len(nd.Links()) == 0 {
			return nil // which need not be a block that is here
		}
		p = "/ipfs/" + nd.Cid().String()
	}
	return s.entries(c, p, false, func(l Link) error {
		if l.Name == "" {
			l.Name = name
		}
		return give(l)
	})
}

// filesRead answers with the bytes of a file.
func (s *Server) filesRead(c *call) error {
	arg, err := c.arg("a path")
	if err != nil {
		return err
	}
	if isImmutable(arg) {
		return s.cat(c)
	}
	nd, back, err := s.found(c, arg)
	if err != nil {
		return fmt.Errorf("%s: %w", arg, err)
	}
	defer back()
	file, err := isFile(nd)
	if err != nil {
		return err
	}
	if !file {
		return fmt.Errorf("%s %w", arg, errNotFile)
	}
	st, err := statOf(nd)
	if err != nil {
		return err
	}
	if text := c.opts.Get("offset"); text != "" {
		if at, err := strconv.ParseUint(text, 10, 63); err == nil && at > st.Size {
			return fmt.Errorf("offset was past end of file (%d > %d)", at, st.Size)
		}
	}
	c.args = []string{"/ipfs/" + nd.Cid().String()}
	return s.cat(c)
}
