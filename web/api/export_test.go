package api

// Routes gives method and path of every route.
func Routes() (all [][2]string) {
	for _, rt := range (&server{}).routes() {
		all = append(all, [2]string{rt.method, rt.path})
	}
	return all
}

// Allowed reports whether a Host passes.
func Allowed(host string, more ...string) bool { return allowed(more)[hostname(host)] }
