package rpc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cairn-network/cairn/blocks"
	block "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	"github.com/ipld/go-car/v2"
	"github.com/ipld/go-car/v2/storage"
	dagpb "github.com/ipld/go-codec-dagpb"
	"github.com/ipld/go-ipld-prime/codec"
	"github.com/ipld/go-ipld-prime/codec/cbor"
	"github.com/ipld/go-ipld-prime/codec/dagcbor"
	"github.com/ipld/go-ipld-prime/codec/dagjson"
	"github.com/ipld/go-ipld-prime/codec/json"
	"github.com/ipld/go-ipld-prime/codec/raw"
	"github.com/ipld/go-ipld-prime/datamodel"
	cidlink "github.com/ipld/go-ipld-prime/linking/cid"
	"github.com/ipld/go-ipld-prime/node/basicnode"
	mc "github.com/multiformats/go-multicodec"
	"github.com/multiformats/go-varint"
)

// slash is how a CID is written in answers.
type slash struct {
	To string `json:"/"`
}

func slashOf(c cid.Cid) slash { return slash{c.String()} }

// codecOf gives how blocks of that codec are read and written.
func codecOf(code mc.Code) (codec.Decoder, codec.Encoder, error) {
	switch code {
	case mc.DagPb:
		return dagpb.Decode, dagpb.Encode, nil
	case mc.DagCbor:
		return dagcbor.Decode, dagcbor.Encode, nil
	case mc.DagJson:
		return dagjson.Decode, dagjson.Encode, nil
	case mc.Raw:
		return raw.Decode, raw.Encode, nil
	case mc.Cbor:
		return cbor.Decode, cbor.Encode, nil
	case mc.Json:
		return json.Decode, json.Encode, nil
	}
	return nil, nil, refuse("codec %s is not read here", code)
}

// read decodes b.
func read(b block.Block) (datamodel.Node, error) {
	decode, _, err := codecOf(mc.Code(b.Cid().Type()))
	if err != nil {
		return nil, err
	}
	nb := datamodel.NodeBuilder(basicnode.Prototype.Any.NewBuilder())
	if b.Cid().Type() == cid.DagProtobuf {
		nb = dagpb.Type.PBNode.NewBuilder()
	}
	if err := decode(nb, bytes.NewReader(b.RawData())); err != nil {
		return nil, fmt.Errorf("rpc: %s: %w", b.Cid(), err)
	}
	return nb.Build(), nil
}

// place is where a path through nodes leads: into the block of c.
type place struct {
	c    cid.Cid
	node datamodel.Node
	rest []string // of the path, within the block
}

// follow goes along p, through links and through what is within a block. In
// dag-pb the name of a link leads on.
func (s *Server) follow(c *call, p string) (at place, err error) {
	if rest, ok := strings.CutPrefix(p, "/ipns/"); ok {
		name, below, _ := strings.Cut(rest, "/")
		root, err := c.root("/ipns/" + name)
		if err != nil {
			return at, err
		}
		p = root.String() + "/" + below
	}
	segments := strings.Split(strings.Trim(strings.TrimPrefix(p, "/ipfs/"), "/"), "/")
	if at.c, err = cid.Decode(segments[0]); err != nil {
		return at, refuse("%q: %s", p, err)
	}
	load := func(to cid.Cid) (block.Block, error) {
		b, err := s.block(c, to)
		if err == nil {
			at = place{c: to}
			at.node, err = read(b)
		}
		return b, err
	}
	b, err := load(at.c)
	for _, seg := range segments[1:] {
		if err != nil {
			return at, err
		}
		c.moved()
		if at.c.Type() == cid.DagProtobuf && len(at.rest) == 0 {
			if to, ok := named(b, seg); ok {
				b, err = load(to)
				continue
			}
		}
		next, err2 := at.node.LookupBySegment(datamodel.ParsePathSegment(seg))
		if err2 != nil {
			return at, fmt.Errorf("rpc: no link named %q under %s", seg, at.c)
		}
		if next.Kind() == datamodel.Kind_Link {
			if l, err2 := next.AsLink(); err2 == nil {
				if l, ok := l.(cidlink.Link); ok {
					b, err = load(l.Cid)
					continue
				}
			}
		}
		at.node, at.rest = next, append(at.rest, seg)
	}
	return at, err
}

func named(b block.Block, name string) (cid.Cid, bool) {
	links, err := edges(b)
	if err != nil {
		return cid.Undef, false
	}
	for _, l := range links {
		if l.name == name {
			return l.to, true
		}
	}
	return cid.Undef, false
}

func (s *Server) dagGet(c *call) error {
	arg, err := c.arg("a path")
	if err != nil {
		return err
	}
	code, err := c.codec("output-codec", mc.DagJson)
	if err != nil {
		return err
	}
	_, encode, err := codecOf(code)
	if err != nil {
		return err
	}
	at, err := s.follow(c, arg)
	if err != nil {
		return err
	}
	var buf bytes.Buffer
	if err := encode(at.node, &buf); err != nil {
		return fmt.Errorf("rpc: dag get: as %s: %w", code, err)
	}
	c.w.Header().Set("Content-Type", "application/octet-stream")
	_, err = c.Write(buf.Bytes())
	return err
}

func (s *Server) dagResolve(c *call) error {
	arg, err := c.arg("a path")
	if err != nil {
		return err
	}
	at, err := s.follow(c, arg)
	if err != nil {
		return err
	}
	return c.reply(struct {
		Cid     slash
		RemPath string
	}{slashOf(at.c), strings.Join(at.rest, "/")})
}

func (s *Server) dagPut(c *call) error {
	n, err := s.importer()
	if err != nil {
		return err
	}
	if h := c.opts.Get("hash"); h != "" && h != "sha2-256" {
		return refuse("hash %q: this peer writes sha2-256", h)
	}
	in, err1 := c.codec("input-codec", mc.DagJson)
	store, err2 := c.codec("store-codec", mc.DagCbor)
	pin, err3 := c.flag("pin", false)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	decode, _, err := codecOf(in)
	if err != nil {
		return err
	}
	_, encode, err := codecOf(store)
	if err != nil {
		return err
	}
	given, err := c.taken(uint64(in))
	if err != nil {
		return err
	}
	nb := datamodel.NodeBuilder(basicnode.Prototype.Any.NewBuilder())
	if store == mc.DagPb {
		nb = dagpb.Type.PBNode.NewBuilder()
	}
	if err := decode(nb, bytes.NewReader(given.RawData())); err != nil {
		return refuse("the node is no %s: %s", in, err)
	}
	var buf bytes.Buffer
	if err := encode(nb.Build(), &buf); err != nil {
		return refuse("the node cannot be written as %s: %s", store, err)
	}
	if buf.Len() > blocks.MaxSize {
		return refuse("a block of more than %d bytes", blocks.MaxSize)
	}
	b := blocks.New(uint64(store), buf.Bytes())
	if err := n.KeepBlock(c, b, pin); err != nil {
		return err
	}
	return c.reply(struct{ Cid slash }{slashOf(b.Cid())})
}

// dagExport answers with a CAR of everything under a root.
func (s *Server) dagExport(c *call) error {
	arg, err := c.arg("a CID")
	if err != nil {
		return err
	}
	root, err := c.root(arg)
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", "application/vnd.ipld.car")
	var head bytes.Buffer
	if _, err := storage.NewWritable(&head, []cid.Cid{root}, car.WriteAsCarV1(true)); err != nil {
		return fmt.Errorf("rpc: dag export: %w", err)
	}
	for b, err := range s.below(c, root) {
		if err != nil {
			return err
		}
		key := b.Cid().Bytes()
		head.Write(varint.ToUvarint(uint64(len(key) + len(b.RawData()))))
		head.Write(key)
		head.Write(b.RawData())
		if _, err := c.Write(head.Bytes()); err != nil {
			return err
		}
		head.Reset()
	}
	return nil
}

// dagImport keeps the blocks of CARs.
func (s *Server) dagImport(c *call) error {
	n, err := s.importer()
	if err != nil {
		return err
	}
	pin, err1 := c.flag("pin-roots", true)
	silent, err2 := c.flag("silent", false)
	stats, err3 := c.flag("stats", false)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	f, err := c.form()
	if err != nil {
		return err
	}
	if err := c.rc.EnableFullDuplex(); err != nil {
		c.s.cfg.Log.Debug("answering only after reading", "err", err)
	}
	c.w.Header().Set("Connection", "close") // what is left of an unread body must not pass for a request
	defer c.patient()()                     // the body and the import have limits of their own
	type rootLine struct {
		Root struct {
			Cid         slash
			PinErrorMsg string
		}
	}
	var count, size int64
	for files := 0; ; files++ {
		it, err := f.peek()
		if err != nil {
			if errors.Is(err, io.EOF) && files > 0 {
				break
			}
			return err
		}
		f.take()
		if it.Kind != blocks.KindFile {
			return refuse("%q is no CAR", it.Path)
		}
		roots, blocks, bytes, err := n.Import(c, it.Body, pin)
		if err != nil {
			return err
		}
		count, size = count+blocks, size+bytes
		for _, root := range roots {
			var l rootLine
			l.Root.Cid = slashOf(root)
			if pin && !silent {
				if err := c.line(l); err != nil {
					return err
				}
			}
		}
	}
	if stats {
		var l struct {
			Stats struct{ BlockCount, BlockBytesCount int64 }
		}
		l.Stats.BlockCount, l.Stats.BlockBytesCount = count, size
		return c.line(l)
	}
	c.head(false)
	return nil
}

func (s *Server) dagStat(c *call) error {
	args, err := c.some("a CID")
	if err != nil {
		return err
	}
	type one struct {
		Cid       string
		Size      int64
		NumBlocks int64
	}
	out := struct {
		UniqueBlocks int64
		TotalSize    int64
		SharedSize   int64
		Ratio        float64
		DagStats     []one
	}{}
	seen := map[[16]byte]bool{}
	var all int64
	for _, arg := range args {
		root, err := c.root(arg)
		if err != nil {
			return err
		}
		o := one{Cid: root.String()}
		for b, err := range s.below(c, root) {
			if err != nil {
				return err
			}
			c.moved()
			n := int64(len(b.RawData()))
			o.NumBlocks, o.Size = o.NumBlocks+1, o.Size+n
			if key := keyOf(b.Cid()); !seen[key] {
				seen[key] = true
				out.UniqueBlocks, out.TotalSize = out.UniqueBlocks+1, out.TotalSize+n
			}
		}
		all += o.Size
		out.DagStats = append(out.DagStats, o)
	}
	out.SharedSize = all - out.TotalSize
	if out.TotalSize > 0 {
		out.Ratio = float64(all) / float64(out.TotalSize)
	}
	return c.line(out)
}
