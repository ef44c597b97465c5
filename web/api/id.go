package api

import (
	"net/http"
	"runtime"
)

func (s *server) id(w http.ResponseWriter, r *http.Request) {
	if p := query(r); p.err != nil {
		s.fail(w, r, p.err)
		return
	}
	id := s.n.ID()
	id.Addresses = list(id.Addresses)
	s.reply(w, http.StatusOK, id)
}

func (s *server) peers(w http.ResponseWriter, r *http.Request) {
	if p := query(r); p.err != nil {
		s.fail(w, r, p.err)
		return
	}
	peers := list(s.n.Peers())
	for i := range peers {
		peers[i].Addresses = list(peers[i].Addresses)
	}
	s.reply(w, http.StatusOK, peers)
}

func (s *server) version(w http.ResponseWriter, r *http.Request) {
	if p := query(r); p.err != nil {
		s.fail(w, r, p.err)
		return
	}
	id := s.n.ID()
	s.reply(w, http.StatusOK, Version{Version: id.Version, Agent: id.Agent, Go: runtime.Version(), API: "v1"})
}
