package rpc

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/boxo/mfs"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
)

// The errors are those of Kubo, which clients match on.
var (
	errNotFile = errors.New("was not a file")
	errSource  = errors.New("cp: source must be a valid UnixFS (dag-pb or raw codec)")
)

// edit is a change that a command makes.
type edit struct {
	*call
	f     *files
	d     *desk
	flush bool
	end   func(kept bool)
}

// edit begins a change of the mutable files, which has to be ended. What is asked of
// the CIDs of what is made has to be what they are.
func (c *call) edit() (*edit, error) {
	f := c.s.files
	if _, err := f.now(); err != nil {
		return nil, err
	}
	flush, err := c.flag("flush", true)
	if err != nil {
		return nil, err
	}
	for name, want := range map[string]string{"cid-version": "1", "cid-ver": "1", "hash": "sha2-256", "raw-leaves": "true"} {
		if v := c.opts.Get(name); v != "" && v != want {
			return nil, refuse("%s %q: the mutable files have %s", name, v, want)
		}
	}
	for _, name := range []string{"mode", "mtime", "mtime-nsecs"} {
		if c.opts.Get(name) != "" {
			return nil, refuse("%s: this peer writes no %s", name, refused[name])
		}
	}
	draft := f.k.Draft()
	return &edit{call: c, f: f, d: newDesk(f.n, draft), flush: flush, end: draft.Close}, nil
}

// done makes the change and answers.
func (e *edit) done(do func(*mfs.Root) error) (err error) {
	rest := e.patient() // others may have their turn first
	err = e.f.change(e, e.d, e.flush, do)
	rest()
	e.end(err == nil)
	if err == nil {
		e.head(false)
	}
	return err
}

// failed ends e, which came to nothing.
func (e *edit) failed(err error) error {
	e.end(false)
	return err
}

// two gives both arguments.
func (c *call) two() (from, to string, err error) {
	if len(c.args) != 2 {
		return "", "", refuse("%d arguments: want two, source and destination", len(c.args))
	}
	return c.args[0], c.args[1], nil
}

// flags reads options that are false unless they are said to be true.
func (c *call) flags(to map[string]*bool) (err error) {
	for name, v := range to {
		if *v, err = c.flag(name, false); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) filesMkdir(c *call) error {
	arg, err := c.arg("a path")
	if err != nil {
		return err
	}
	p, err := entry(arg)
	if err != nil {
		return err
	}
	var parents bool
	if err := c.flags(map[string]*bool{"parents": &parents}); err != nil {
		return err
	}
	e, err := c.edit()
	if err != nil {
		return err
	}
	return e.done(func(r *mfs.Root) error { return mkdir(r, p, parents) })
}

func mkdir(r *mfs.Root, p string, parents bool) error {
	return mfs.Mkdir(r, p, mfs.MkdirOpts{Mkparents: parents})
}

// filesCp fetches what it copies, other than Kubo: what is put stays, whoever goes.
func (s *Server) filesCp(c *call) error {
	from, to, err := c.two()
	if err != nil {
		return err
	}
	var parents, force bool
	if err := c.flags(map[string]*bool{"parents": &parents, "force": &force}); err != nil {
		return err
	}
	outside := isImmutable(from)
	if !outside {
		if from, err = filesPath(from); err != nil {
			return err
		}
	}
	from = strings.TrimRight(from, "/")
	if strings.HasSuffix(to, "/") {
		to += path.Base("/" + from)
	}
	if to, err = entry(to); err != nil {
		return err
	}
	e, err := c.edit()
	if err != nil {
		return err
	}
	var nd ipld.Node
	if outside {
		if nd, err = e.fetched(from); err != nil {
			return e.failed(fmt.Errorf("cp: cannot get node from path %s: %w", from, err))
		}
	}
	return e.done(func(r *mfs.Root) error {
		if !outside {
			if nd, err = e.d.lookup(r, from); err != nil {
				return fmt.Errorf("cp: cannot get node from path %s: %w", from, err)
			}
		}
		if err := e.d.fits(e, nd, to); err != nil {
			return err
		}
		if dir, _ := parted(to); parents && dir != "/" {
			if err := mkdir(r, dir, true); err != nil {
				return err
			}
		}
		if force {
			if err := unlinkFile(r, to); err != nil {
				return fmt.Errorf("cp: cannot unlink existing file: %w", err)
			}
		}
		if err := mfs.PutNode(r, to, nd); err != nil {
			return fmt.Errorf("cp: cannot put node in path %s: %w", to, err)
		}
		return nil
	})
}

// fetched brings here all that p names.
func (e *edit) fetched(p string) (ipld.Node, error) {
	root, err := e.root(p)
	if err != nil {
		return nil, err
	}
	if t := root.Type(); t != cid.Raw && t != cid.DagProtobuf {
		return nil, errSource
	}
	nd, err := e.d.dag.Get(e, root)
	if err != nil {
		return nil, err
	}
	if _, err := isFile(nd); err != nil {
		return nil, fmt.Errorf("%w: %w", errSource, err)
	}
	e.moved()
	known := 0
	return nd, e.d.draft.Fetch(e, root, func(p blocks.Progress) {
		if n := p.Blocks + p.Safe; n != known {
			known = n
			e.moved()
		}
	})
}

// filesFlush makes what was changed with flush=false durable, all of it.
func (s *Server) filesFlush(c *call) error {
	if len(c.args) == 0 {
		c.args = []string{"/"}
	}
	arg, err := c.arg("a path")
	if err != nil {
		return err
	}
	p, err := filesPath(arg)
	if err != nil {
		return err
	}
	nd, back, err := s.files.at(c, p)
	if err != nil {
		return err
	}
	back()
	if _, err := s.files.flush(); err != nil {
		return err
	}
	return c.reply(struct{ Cid string }{nd.Cid().String()})
}

// filesUnfit answers what would make other CIDs or nodes than this peer does.
func (s *Server) filesUnfit(c *call) error {
	return lacking("the mutable files have CIDs of version 1 with sha2-256, and neither modes nor times: " + c.r.URL.Path + " is not done here")
}
