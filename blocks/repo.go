package blocks

// RepoStat is what a store holds, and what that takes.
type RepoStat struct {
	Version     int   `json:"version"` // of the format on the disk
	Blocks      int64 `json:"blocks"`
	Bytes       int64 `json:"bytes"`       // of their data
	Held        int64 `json:"held"`        // blocks under a lease
	Pins        int64 `json:"pins"`        // roots
	Others      int64 `json:"others"`      // bytes held for other publishers
	Quota       int64 `json:"quota"`       // bytes that others may take; less than 0 is no limit
	Quarantined int64 `json:"quarantined"` // records whose bytes were found wrong
	Segments    int64 `json:"segments"`    // files that blocks are written to
	Disk        int64 `json:"disk"`        // bytes of the disk that the store takes
	Dead        int64 `json:"dead"`        // bytes of those that compaction can give back
	Free        int64 `json:"free"`        // bytes of the disk that nobody takes
}

// Verified is what a check of every block found.
type Verified struct {
	Blocks int64    `json:"blocks"`           // checked
	Bytes  int64    `json:"bytes"`            // of those
	Bad    []string `json:"bad,omitempty"`    // CIDs, as raw blocks, whose bytes were wrong
	Healed []string `json:"healed,omitempty"` // those of Bad that a holder had, and that are here again
}

// Swept is what a collection let go of.
type Swept struct {
	Blocks int64 `json:"blocks"`
	Bytes  int64 `json:"bytes"`
	Kept   int64 `json:"kept"` // blocks that somebody wants here
}

// Compacted is what compaction gave back.
type Compacted struct {
	Segments int64 `json:"segments"` // files that were written anew or removed
	Bytes    int64 `json:"bytes"`    // of the disk
}

// Done is how far a task has got that goes through a store.
type Done struct {
	Done  int64 `json:"done"`  // blocks, or bytes where the task says so
	Total int64 `json:"total"` // 0 is not known yet
}
