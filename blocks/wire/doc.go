// Package wire moves blocks between two peers. This is the specification of
// /cairn/blocks/0.1.0: one stream, one request, one answer.
//
// A request is a kind byte and its fields; a field is an unsigned varint length
// and that many bytes. Keys are multihashes.
//
//	'S' lease key size     offer    → 'W' want it | 'H' have it, now held under the lease | 'N' code reason
//	    then, after 'W':   data     → 'K' on the disk | 'N' code reason
//	'G' key                get      → 'B' data | '-' not here
//	'Q' count key…         state    → 'Q' and a byte for each key: 0 not here, 1 here, 2 held under a lease
//	'P' nonce count key…   prove    → 'P' and for each key a state byte and a field: HMAC-SHA256(key = nonce, block), or empty
//	'L' key                leases   → 'L' count lease…
//
// size and count are bare varints, code is one byte. A lease has at most
// [blocks.MaxLeaseSize] bytes, a request without data at most 64 KiB, data at
// most [blocks.MaxSize]; each limit is read before anything is allocated.
//
// Whatever arrives is checked against its key before anyone sees it, on both
// sides, and a peer never keeps bytes it has not asked for: an offer carries none.
// An 'H' or 'K' says that block and lease are on the disk. Each read, write and
// close has a deadline, so a silent peer costs one exchange and no more.
//
// [Serve] runs on libp2p's goroutines, a stream each, and ends with its streams.
// Not in this version: batches, credit, hints where a block went.
package wire
