package rpc

import (
	"encoding/base64"
	"io"

	"github.com/multiformats/go-multibase"
)

// maxSaid is the longest message that is read, in bytes; how long a one is carried the
// network says.
const maxSaid = 1 << 20

func (s *Server) topics() (Topics, error) {
	n, ok := s.n.(Topics)
	if !ok {
		return nil, lacking("this peer passes on no topics of others")
	}
	return n, nil
}

// topic reads the first argument, which is in multibase.
func (c *call) topic() (string, error) {
	text, err := c.arg("a topic in multibase")
	if err != nil {
		return "", err
	}
	_, name, err := multibase.Decode(text)
	if err != nil {
		return "", refuse("topic %q is no multibase: %s", text, err)
	}
	return string(name), nil
}

func (s *Server) pubsubPub(c *call) error {
	n, err := s.topics()
	if err != nil {
		return err
	}
	topic, err := c.topic()
	if err != nil {
		return err
	}
	f, err := c.file()
	if err != nil {
		return err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSaid+1))
	if err != nil {
		return err
	}
	if len(data) > maxSaid {
		return refuse("a message of more than %d bytes", maxSaid)
	}
	if err := n.Say(c, topic, data); err != nil {
		return err
	}
	return c.reply(struct{}{})
}

func (s *Server) pubsubSub(c *call) error {
	n, err := s.topics()
	if err != nil {
		return err
	}
	topic, err := c.topic()
	if err != nil {
		return err
	}
	defer c.patient()()
	heard, err := n.Hear(c, topic)
	if err != nil {
		return err
	}
	c.head(false)
	if err := c.rc.Flush(); err != nil { // it is listening now: clients wait for this
		return err
	}
	for m, err := range heard {
		if err != nil {
			return err
		}
		line := struct {
			From     string   `json:"from"`
			Data     string   `json:"data"`
			Seqno    string   `json:"seqno"`
			TopicIDs []string `json:"topicIDs"`
		}{m.From, multi(m.Data), multi(m.Seq), nil}
		for _, t := range m.Topics {
			line.TopicIDs = append(line.TopicIDs, multi([]byte(t)))
		}
		if err := c.line(line); err != nil {
			return err
		}
	}
	return nil
}

// multi is data in multibase, base64url.
func multi(data []byte) string { return "u" + base64.RawURLEncoding.EncodeToString(data) }

func (s *Server) pubsubLs(c *call) error {
	n, err := s.topics()
	if err != nil {
		return err
	}
	out := struct{ Strings []string }{[]string{}}
	for _, t := range n.Heard() {
		out.Strings = append(out.Strings, multi([]byte(t)))
	}
	return c.reply(out)
}

func (s *Server) pubsubPeers(c *call) error {
	n, err := s.topics()
	if err != nil {
		return err
	}
	topic := ""
	if len(c.args) > 0 {
		if topic, err = c.topic(); err != nil {
			return err
		}
	}
	out := struct{ Strings []string }{[]string{}}
	out.Strings = append(out.Strings, n.Listeners(topic)...)
	return c.reply(out)
}
