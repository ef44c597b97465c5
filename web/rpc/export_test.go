package rpc

// Names are the commands in order.
func (s *Server) Names() []string { return s.names() }
