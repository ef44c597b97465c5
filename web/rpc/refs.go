package rpc

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ipfs/go-cid"
)

// Ref is a link, or why there is none.
type Ref struct{ Ref, Err string }

// refs lists the links of blocks, and with recursive what is below them.
func (s *Server) refs(c *call) error {
	args, err := c.some("a path")
	if err != nil {
		return err
	}
	recursive, err1 := c.flag("recursive", false)
	unique, err2 := c.flag("unique", false)
	arrows, err3 := c.flag("edges", false)
	depth, err4 := c.number("max-depth", -1, -1)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return err
	}
	format := c.opts.Get("format")
	if format == "" {
		format = "<dst>"
	}
	if arrows {
		format = "<src> -> <dst>"
	}
	switch {
	case !recursive:
		depth = 1
	case depth < 0:
		depth = maxDeep
	}
	r := &refsOf{call: c, format: format, unique: unique, most: int(min(depth, maxDeep)), said: map[[16]byte]bool{}, walked: map[[16]byte]int{}}
	for _, arg := range args {
		root, err := c.root(arg)
		if err == nil {
			err = r.from(root)
		}
		if err != nil {
			return err
		}
	}
	c.head(false)
	return nil
}

type refsOf struct {
	*call
	format string
	unique bool
	most   int               // depth
	said   map[[16]byte]bool // with unique
	walked map[[16]byte]int  // with unique: from which depth
	lines  int
}

// maxLines is how many links are told at most: without unique a small DAG can have
// more than anybody could read.
const maxLines = 1 << 24

// from goes depth first, in the order of the links.
func (r *refsOf) from(root cid.Cid) error {
	type step struct {
		edge
		src cid.Cid
	}
	todo := []step{{edge: edge{to: root}}}
	for len(todo) > 0 {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if at.depth > 0 {
			if err := r.say(at.src, at.edge); err != nil {
				return err
			}
		}
		if at.depth >= r.most {
			continue
		}
		if d, ok := r.walked[keyOf(at.to)]; ok && d <= at.depth {
			continue
		}
		if r.unique {
			r.walked[keyOf(at.to)] = at.depth
		}
		next, err := r.s.links(r, at.to)
		if err == nil && len(todo)+len(next) > maxPending {
			err = fmt.Errorf("rpc: refs: %s has too much below it", root)
		}
		if err != nil {
			return err
		}
		for i := len(next) - 1; i >= 0; i-- {
			next[i].depth = at.depth + 1
			todo = append(todo, step{next[i], at.to})
		}
	}
	return nil
}

func (r *refsOf) say(src cid.Cid, e edge) error {
	if r.unique {
		if key := keyOf(e.to); r.said[key] {
			return nil
		} else {
			r.said[key] = true
		}
	}
	if r.lines++; r.lines > maxLines {
		return fmt.Errorf("rpc: refs: more than %d links: ask with unique", maxLines)
	}
	text := strings.NewReplacer("<src>", src.String(), "<dst>", e.to.String(), "<linkname>", e.name).Replace(r.format)
	return r.line(Ref{Ref: text})
}
