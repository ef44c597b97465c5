package node

// MDNSService is Config's, for tests.
func MDNSService(c Config) string { return c.mdnsService() }
