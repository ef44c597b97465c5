package rpc

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/cairn-network/cairn/blocks"
	"github.com/ipfs/go-cid"
)

// whole pins only: those of single blocks are not kept apart here.
func (c *call) recursive() error {
	all, err := c.flag("recursive", true)
	if err == nil && !all {
		err = lacking("only whole trees are pinned here: leave recursive=false out")
	}
	return err
}

func (s *Server) pinAdd(c *call) error {
	args, err := c.some("a path")
	if err == nil {
		err = c.recursive()
	}
	if err != nil {
		return err
	}
	progress, err := c.flag("progress", false)
	if err != nil {
		return err
	}
	type answer struct {
		Pins     []string `json:",omitempty"`
		Progress int      `json:",omitempty"`
	}
	out := answer{Pins: []string{}}
	for _, arg := range args {
		var here atomic.Int64
		quiet := c.telling(progress, func() error { return c.still(answer{Progress: int(here.Load())}) })
		pin, err := s.n.Pin(c, arg, c.opts.Get("name"), func(p blocks.Progress) {
			if here.Swap(int64(p.Safe)) != int64(p.Safe) {
				c.moved()
			}
		})
		quiet()
		if err != nil {
			return err
		}
		out.Pins = append(out.Pins, pin.Root.String())
	}
	if c.begun {
		return c.line(out)
	}
	return c.reply(out)
}

// telling calls line now and then until what it gives is called, which waits for it.
func (c *call) telling(on bool, line func() error) (stop func()) {
	if !on {
		return func() {}
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() { // ends with stop
		defer close(ended)
		t := time.NewTicker(c.s.cfg.Tick)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				if line() != nil {
					return // the client has left, which ends the context
				}
			case <-end:
				return
			}
		}
	}()
	return func() { close(end); <-ended }
}

// Pinned is one pin.
type Pinned struct {
	Type string
	Name string `json:",omitempty"`
}

func (s *Server) pinLs(c *call) error {
	kind := c.opts.Get("type")
	switch kind {
	case "", "all", "recursive", "direct", "indirect":
	default:
		return refuse("type %q: want all, recursive, direct or indirect", kind)
	}
	stream, err := c.flag("stream", false)
	if err != nil {
		return err
	}
	wanted := map[cid.Cid]string{} // root → as asked for
	for _, arg := range c.args {
		root, err := c.root(arg)
		if err != nil {
			return err
		}
		wanted[root] = arg
	}
	names, err := c.flag("names", false)
	if err != nil {
		return err
	}
	name := c.opts.Get("name")
	out := struct{ Keys map[string]Pinned }{map[string]Pinned{}}
	for p, err := range s.n.Pins(c) {
		if err != nil {
			return err
		}
		if _, ok := wanted[p.Root]; len(c.args) > 0 && !ok || kind == "direct" || kind == "indirect" || name != "" && p.Name != name {
			continue
		}
		delete(wanted, p.Root)
		pin := Pinned{Type: "recursive"}
		if names || name != "" {
			pin.Name = p.Name
		}
		if !stream {
			out.Keys[p.Root.String()] = pin
			continue
		}
		err := c.line(struct {
			Cid  string
			Type string
			Name string `json:",omitempty"`
		}{p.Root.String(), pin.Type, pin.Name})
		if err != nil {
			return err
		}
	}
	for _, arg := range wanted {
		return fmt.Errorf("path '%s' is not pinned", arg)
	}
	if stream {
		c.head(false)
		return nil
	}
	return c.reply(out)
}

func (s *Server) pinRm(c *call) error {
	args, err := c.some("a path")
	if err == nil {
		err = c.recursive()
	}
	if err != nil {
		return err
	}
	out := struct{ Pins []string }{[]string{}}
	for _, arg := range args {
		pin, ok, err := s.n.Unpin(c, arg)
		if err != nil {
			return err
		}
		if !ok {
			return errors.New("not pinned or pinned indirectly: " + arg)
		}
		out.Pins = append(out.Pins, pin.Root.String())
	}
	return c.reply(out)
}

func (s *Server) pinUpdate(c *call) error {
	if len(c.args) != 2 {
		return refuse("%d arguments: want two paths, old and new", len(c.args))
	}
	unpin, err := c.flag("unpin", true)
	if err != nil {
		return err
	}
	from, err := c.root(c.args[0])
	if err != nil {
		return err
	}
	old, ok := blocks.Pin{}, false
	for p, err := range s.n.Pins(c) {
		if err != nil {
			return err
		}
		if p.Root.Equals(from) {
			old, ok = p, true
		}
	}
	if !ok {
		return &refusal{http.StatusInternalServerError, "'from' cid was not recursively pinned already"}
	}
	pin, err := s.n.Pin(c, c.args[1], old.Name, func(blocks.Progress) { c.moved() })
	if err == nil && unpin && !pin.Root.Equals(from) {
		_, _, err = s.n.Unpin(c, from.String())
	}
	if err != nil {
		return err
	}
	return c.reply(struct{ Pins []string }{[]string{from.String(), pin.Root.String()}})
}
