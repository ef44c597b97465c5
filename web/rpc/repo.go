package rpc

import (
	"fmt"

	"github.com/cairn-network/cairn/blocks"
)

func (s *Server) repoStat(c *call) error {
	st, err := s.n.RepoStat(c)
	if err != nil {
		return err
	}
	most := uint64(1<<63 - 1)
	if st.Quota >= 0 {
		most = uint64(st.Quota)
	}
	return c.reply(struct {
		RepoSize   int64
		StorageMax uint64
		NumObjects int64
		RepoPath   string
		Version    string
	}{st.Disk, most, st.Blocks, "", repoVersion(st)})
}

func repoVersion(st blocks.RepoStat) string { return fmt.Sprintf("cairn@%d", st.Version) }

func (s *Server) repoVersion(c *call) error {
	st, err := s.n.RepoStat(c)
	if err != nil {
		return err
	}
	return c.reply(struct{ Version string }{repoVersion(st)})
}

// repoGC forgets what nobody wants here. Which blocks those were is not told.
func (s *Server) repoGC(c *call) error {
	defer c.patient()()
	if _, err := s.n.RepoGC(c, 0, func(blocks.Done) {}); err != nil {
		return err
	}
	c.head(false)
	return nil
}

func (s *Server) repoVerify(c *call) error {
	defer c.patient()()
	type line struct {
		Msg      string
		Progress int
	}
	v, err := s.n.RepoVerify(c, func(blocks.Done) {})
	if err != nil {
		return err
	}
	for _, bad := range v.Bad {
		if err := c.line(line{Msg: "block " + bad + " was corrupt"}); err != nil {
			return err
		}
	}
	if lost := len(v.Bad) - len(v.Healed); lost > 0 {
		return fmt.Errorf("verify complete, %d blocks were corrupt and %d could not be had again", len(v.Bad), lost)
	}
	return c.line(line{Msg: fmt.Sprintf("verify complete, all %d blocks validated.", v.Blocks), Progress: int(v.Blocks)})
}
