// Package rpc speaks what programs written for Kubo speak: its RPC under /api/v0,
// as far as a peer of ours can mean the same by it, and the Pinning Service API
// under /psa.
//
//	POST /api/v0/add?… → guard of web/api → command → [Node] → JSON, lines of JSON or bytes
//	                          any error → {"Message", "Code", "Type": "error"}
//	/psa/pins → guard → request → pin here | job → [Node.Pin] in the background
//	files/… → tree of the root → change → blocks kept, root noted → pin and lease, a quiet time later
//
// What it promises: a command that is answered means what it means in Kubo, or
// is refused with a sentence; an option that would change a CID is honoured or
// refused, never left out. Nothing is kept of a form that breaks off. Bytes that
// fail in their middle break the connection and never end cleanly.
//
// What it does not do: it lets nobody in (that is web/api, which this package is
// mounted in), and it has no pins of single blocks and no settings to write. docs/kubo-rpc.md lists the commands.
//
// [New] starts no goroutine. [Server.Run] owns those that pin for /psa, and the one that
// brings the mutable files to others; whatever else a request starts ends with the request.
package rpc
