package rpc

import (
	"encoding/base64"
	"io"
)

// maxRecord is the largest record of a name that is read, in bytes: 10 KiB are allowed.
const maxRecord = 11 << 10

// The kinds of events that searches tell of, as Kubo numbers them.
const (
	eventPeer  = 2
	eventValue = 5
)

func (s *Server) router() (Router, error) {
	n, ok := s.n.(Router)
	if !ok {
		return nil, lacking("this peer leaves no records")
	}
	return n, nil
}

// routingProvide leaves records that this peer has roots.
func (s *Server) routingProvide(c *call) error {
	n, err := s.router()
	if err != nil {
		return err
	}
	args, err := c.some("a CID")
	if err != nil {
		return err
	}
	if all, err := c.flag("recursive", false); err != nil || all {
		return refuse("recursive: a record of the root leads to everything below it")
	}
	for _, arg := range args {
		root, err := c.root(arg)
		if err != nil {
			return err
		}
		there, err := s.n.BlockService().Blockstore().Has(c, root)
		if err == nil && !there {
			err = refuse("block %s is not here: nothing is said of it", root)
		}
		if err == nil {
			err = n.Provide(c, root)
		}
		if err != nil {
			return err
		}
		c.moved()
	}
	c.head(false)
	return nil
}

// routingGet gives the record of a name.
func (s *Server) routingGet(c *call) error {
	n, err := s.router()
	if err != nil {
		return err
	}
	key, err := c.arg("a key such as /ipns/NAME")
	if err != nil {
		return err
	}
	value, err := n.Value(c, key)
	if err != nil {
		return err
	}
	return c.line(Found{Type: eventValue, Extra: base64.StdEncoding.EncodeToString(value)})
}

// routingPut keeps a record that the owner of a name has signed, and spreads it.
func (s *Server) routingPut(c *call) error {
	n, err := s.router()
	if err != nil {
		return err
	}
	key, err := c.arg("a key such as /ipns/NAME")
	if err != nil {
		return err
	}
	f, err := c.file()
	if err != nil {
		return err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxRecord))
	if err == nil {
		err = n.PutValue(c, key, data)
	}
	if err != nil {
		return err
	}
	return c.line(Found{ID: s.n.ID().ID, Type: eventPeer})
}

// swarmDisconnect ends connections. Peers that belong together meet again.
func (s *Server) swarmDisconnect(c *call) error {
	n, err := s.router()
	if err != nil {
		return err
	}
	args, err := c.some("an address")
	if err != nil {
		return err
	}
	out := struct{ Strings []string }{[]string{}}
	for _, a := range args {
		id, err := n.Disconnect(c, a)
		if err != nil {
			return err
		}
		out.Strings = append(out.Strings, "disconnect "+id+" success")
	}
	return c.reply(out)
}
