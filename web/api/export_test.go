package api

// Routes gives method and path of every route, those of a testnet included.
func Routes() (all [][2]string) {
	s := &server{cfg: Config{Lab: struct{ Lab }{}}}
	for _, rt := range append(s.routes(), s.labRoutes()...) {
		all = append(all, [2]string{rt.method, rt.path})
	}
	return all
}
