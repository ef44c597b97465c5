package rpc

import (
	"github.com/cairn-network/cairn/blocks"
)

// The kinds of entries, as UnixFS numbers them.
const (
	typeDir     = 1
	typeFile    = 2
	typeSymlink = 4
)

// Link is an entry of a directory.
type Link struct {
	Name   string
	Hash   string
	Size   uint64
	Type   int32
	Target string
}

// Object is a directory, or a file as the only entry of one without a name.
type Object struct {
	Hash  string // the path as it was asked for
	Links []Link
}

// Objects is the answer of ls.
type Objects struct{ Objects []Object }

func linkOf(name string, e blocks.Entry) Link {
	l := Link{Name: name, Hash: e.CID.String(), Size: uint64(max(e.Size, 0)), Target: e.Target}
	switch e.Kind {
	case blocks.KindDir:
		l.Type, l.Size = typeDir, 0 // Kubo says nothing of what is below
	case blocks.KindFile:
		l.Type = typeFile
	case blocks.KindSymlink:
		l.Type = typeSymlink
	case blocks.KindUnknown:
	}
	return l
}

func (s *Server) ls(c *call) error {
	args, err := c.some("a path")
	if err != nil {
		return err
	}
	stream, err := c.flag("stream", false)
	if err != nil {
		return err
	}
	var all Objects
	for _, arg := range args {
		o := Object{Hash: arg, Links: []Link{}}
		err := s.entries(c, arg, true, func(l Link) error {
			if stream {
				return c.line(Objects{[]Object{{Hash: arg, Links: []Link{l}}}})
			}
			c.moved()
			o.Links = append(o.Links, l)
			return nil
		})
		if err != nil {
			return err
		}
		all.Objects = append(all.Objects, o)
	}
	if stream {
		c.head(false)
		return nil
	}
	return c.reply(all)
}

// entries gives every entry of the directory p, or the file p itself, or with parts
// what it is made of.
func (s *Server) entries(c *call, p string, parts bool, give func(Link) error) error {
	st, err := s.n.Stat(c, p)
	if err != nil {
		return err
	}
	if st.Kind == blocks.KindFile && parts {
		links, err := s.links(c, st.CID)
		if err != nil {
			return err
		}
		for _, l := range links {
			part, err := s.n.Stat(c, l.to.String())
			if err == nil {
				err = give(linkOf("", blocks.Entry{CID: l.to, Kind: part.Kind, Size: part.Size}))
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	if st.Kind != blocks.KindDir {
		return give(linkOf("", blocks.Entry{CID: st.CID, Kind: st.Kind, Size: st.Size, Target: st.Target}))
	}
	for e, err := range s.n.List(c, p) {
		if err != nil {
			return err
		}
		if err := give(linkOf(e.Name, e)); err != nil {
			return err
		}
	}
	return nil
}

// resolve says which immutable path a path leads to.
func (s *Server) resolve(c *call) error {
	arg, err := c.arg("a path")
	if err != nil {
		return err
	}
	root, err := c.root(arg)
	if err != nil {
		return err
	}
	return c.reply(struct{ Path string }{"/ipfs/" + root.String()})
}
