package rpc

import (
	"errors"
	"io"
	"strings"
	"time"

	"github.com/cairn-network/cairn/blocks"
)

// maxKey is the largest key that is read, in bytes.
const maxKey = 16 << 10

func (s *Server) namer() (Namer, error) {
	n, ok := s.n.(Namer)
	if !ok {
		return nil, lacking("this peer has no names and no keys for them")
	}
	return n, nil
}

// Named is a key as Kubo tells of it.
type Named struct{ Name, Id string } //nolint:revive // Kubo's name

func (s *Server) keyList(c *call) error {
	n, err := s.namer()
	if err != nil {
		return err
	}
	out := struct{ Keys []Named }{[]Named{}}
	for _, k := range n.Keys() {
		out.Keys = append(out.Keys, Named{k.Key, k.Name})
	}
	return c.reply(out)
}

func (s *Server) keyGen(c *call) error {
	n, err := s.namer()
	if err != nil {
		return err
	}
	name, err := c.arg("a name")
	if err != nil {
		return err
	}
	if kind := c.opts.Get("type"); kind != "" && kind != "ed25519" {
		return refuse("type %q: keys here are ed25519", kind)
	}
	k, err := n.MakeKey(name)
	if err != nil {
		return err
	}
	return c.reply(Named{k.Key, k.Name})
}

func (s *Server) keyRm(c *call) error {
	n, err := s.namer()
	if err != nil {
		return err
	}
	args, err := c.some("a name")
	if err != nil {
		return err
	}
	out := struct{ Keys []Named }{[]Named{}}
	for _, name := range args {
		k, err := n.RemoveKey(name)
		if err != nil {
			return err
		}
		out.Keys = append(out.Keys, Named{k.Key, k.Name})
	}
	return c.reply(out)
}

func (s *Server) keyExport(c *call) error {
	n, err := s.namer()
	if err != nil {
		return err
	}
	name, err := c.arg("a name")
	if err != nil {
		return err
	}
	if f := c.opts.Get("format"); f != "" && f != "libp2p-protobuf-cleartext" {
		return refuse("format %q: keys are given as libp2p-protobuf-cleartext", f)
	}
	data, err := n.GiveKey(name)
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", "application/octet-stream")
	_, err = c.Write(data)
	return err
}

func (s *Server) keyImport(c *call) error {
	n, err := s.namer()
	if err != nil {
		return err
	}
	name, err := c.arg("a name")
	if err != nil {
		return err
	}
	if f := c.opts.Get("format"); f != "" && f != "libp2p-protobuf-cleartext" {
		return refuse("format %q: keys are taken as libp2p-protobuf-cleartext", f)
	}
	f, err := c.file()
	if err != nil {
		return err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKey))
	if err != nil {
		return err
	}
	k, err := n.TakeKey(name, data)
	if err != nil {
		return err
	}
	return c.reply(Named{k.Key, k.Name})
}

func (s *Server) namePublish(c *call) error {
	n, err := s.namer()
	if err != nil {
		return err
	}
	p, err := c.arg("a path")
	if err != nil {
		return err
	}
	key := c.opts.Get("key")
	if key == "" {
		key = "self"
	}
	if c.opts.Get("resolve") != "false" {
		if _, err := c.root(p); err != nil { // what leads nowhere is not published
			return err
		}
	}
	var o blocks.NameOptions
	for name, to := range map[string]*time.Duration{"lifetime": &o.Lifetime, "ttl": &o.TTL} {
		if text := c.opts.Get(name); text != "" {
			if *to, err = time.ParseDuration(text); err != nil || *to <= 0 {
				return refuse("%s %q: want a duration such as 24h", name, text)
			}
		}
	}
	done, err := n.PublishName(c, key, p, o)
	if err != nil {
		return err
	}
	return c.reply(struct{ Name, Value string }{done.Name, done.Value})
}

func (s *Server) nameResolve(c *call) error {
	n, err := s.namer()
	if err != nil {
		return err
	}
	if len(c.args) == 0 {
		c.args = []string{s.n.ID().ID}
	}
	name, err1 := c.arg("a name")
	stream, err2 := c.flag("stream", false)
	recursive, err3 := c.flag("recursive", true)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	to, err := n.ResolveName(c, strings.TrimPrefix(name, "/ipns/"), recursive)
	if err != nil {
		return err
	}
	out := struct{ Path string }{to.Path}
	if stream {
		return c.line(out)
	}
	return c.reply(out)
}
